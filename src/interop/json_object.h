/// A JSON object read with types checked key by key; every complaint names the file and the key.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moe::interop {

/// @invariant repeated keys, values of other types, and anything after the object are refused; `null` is an absent key
class JsonObject {
 public:
  /// `where` names the text in messages, usually its path.
  /// @throws CheckpointError unless the text is one JSON object, nested at most 64 deep
  static JsonObject parse(std::string_view text, const std::string& where);

  /// Present and not null.
  bool has(const std::string& key) const;
  /// Present, if only as null: where absence means a default, null means none.
  bool mentions(const std::string& key) const;
  std::vector<std::string> keys() const;

  /// None where absent. @throws CheckpointError(where, key, expected, found) for another type
  std::optional<bool> boolean(const std::string& key) const;
  /// Integers only: 4096.0 is refused.
  std::optional<std::int64_t> integer(const std::string& key) const;
  /// Integers too; finite.
  std::optional<double> number(const std::string& key) const;
  std::optional<std::string> text(const std::string& key) const;
  std::optional<std::vector<std::int64_t>> integers(const std::string& key) const;
  std::optional<std::vector<std::string>> texts(const std::string& key) const;
  std::optional<JsonObject> object(const std::string& key) const;

  /// @throws CheckpointError "<where>: <key>: expected <expected>, found <the value, or nothing>"
  [[noreturn]] void refuse(const std::string& key, const std::string& expected) const;
  /// The value under `key` as JSON text, "nothing" where absent.
  std::string spelled(const std::string& key) const;
  const std::string& where() const;

 private:
  struct Node;
  explicit JsonObject(std::shared_ptr<const Node> node) : node_(std::move(node)) {}
  std::shared_ptr<const Node> node_;
};

}  // namespace moe::interop
