/// A JSON value that knows where it stands, so that errors name file and key.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace moe::data::bpe {

/// @throws DataError(origin, reason)
nlohmann::json parse_json(const std::string& text, const std::string& origin);

class JsonView {
 public:
  using Json = nlohmann::json;

  /// `json` must outlive it.
  JsonView(const Json& json, std::string where) : json_(&json), where_(std::move(where)) {}
  /// The whole file: its keys stand as "PATH: KEY".
  static JsonView of_file(const Json& json, const std::string& path);

  const Json& json() const { return *json_; }
  /// "tokenizer.json: model.vocab".
  const std::string& where() const { return where_; }
  bool is_null() const { return json_->is_null(); }

  /// @throws DataError(where, "expected ..., found ...")
  [[noreturn]] void fail(const std::string& expected) const;

  JsonView require_object() const;
  JsonView require_array() const;
  /// @throws DataError if this is no object or lacks `key`
  JsonView at(const char* key) const;
  /// Nothing where `key` is missing or null.
  std::optional<JsonView> find(const char* key) const;
  JsonView at(std::size_t index) const;

  std::string text() const;
  bool boolean() const;
  std::int32_t integer(std::int32_t min, std::int32_t max) const;
  std::string text(const char* key) const { return at(key).text(); }
  bool boolean(const char* key, bool missing) const;

  /// Other keys must be null, false or empty. @throws DataError naming the key
  void allow_only(std::initializer_list<std::string_view> known) const;

 private:
  const Json* json_;
  std::string where_;
  bool is_file_ = false;
};

}  // namespace moe::data::bpe
