/// Private to this folder: JSON read without forgiveness.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>

namespace moe::checkpoint {

using Json = nlohmann::json;

/// Refuses repeated keys and nesting deeper than 64. @throws CheckpointError(where, reason)
Json parse_json(std::string_view text, const std::string& where);

/// An object whose every field must be asked for. @throws CheckpointError(where, field, reason)
class JsonObject {
 public:
  JsonObject(const Json& json, std::string where);
  const Json& field(const std::string& key);
  const Json& object(const std::string& key);
  const Json& array(const std::string& key);
  std::string text(const std::string& key);
  std::int64_t count(const std::string& key);  ///< an integer >= 0
  std::uint64_t hex_64(const std::string& key);
  const std::string& where() const { return where_; }
  /// Refuses fields that nobody asked for. Call last.
  void finish() const;

 private:
  [[noreturn]] void refuse(const std::string& key, const std::string& expected) const;
  const Json& json_;
  std::string where_;
  std::set<std::string> used_;
};

std::int64_t json_count(const Json& value, const std::string& where);
std::string json_text(const Json& value, const std::string& where);

}  // namespace moe::checkpoint
