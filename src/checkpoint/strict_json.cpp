#include "checkpoint/strict_json.h"

#include <charconv>
#include <limits>
#include <vector>

#include "base/error.h"
#include "base/format.h"

namespace moe::checkpoint {
namespace {

constexpr int kMaxDepth = 64;

/// Watches the parser: nlohmann's own object would keep the last of two equal keys.
class KeyWatch {
 public:
  explicit KeyWatch(const std::string& where) : where_(where) {}
  bool operator()(int depth, Json::parse_event_t event, Json& value) {
    if (depth > kMaxDepth) throw CheckpointError(where_ + ": JSON nested deeper than 64");
    if (event == Json::parse_event_t::object_start) open_.emplace_back();
    if (event == Json::parse_event_t::object_end) open_.pop_back();
    if (event == Json::parse_event_t::key) {
      const auto& key = value.get_ref<const std::string&>();
      if (!open_.back().insert(key).second) {
        throw CheckpointError(format("{}: the key '{}' stands twice in one object", where_, key));
      }
    }
    return true;
  }

 private:
  const std::string& where_;
  std::vector<std::set<std::string>> open_;
};

}  // namespace

Json parse_json(std::string_view text, const std::string& where) {
  KeyWatch watch(where);
  try {
    return Json::parse(text, std::ref(watch));
  } catch (const Json::exception& error) {
    throw CheckpointError(format("{}: not valid JSON: {}", where, error.what()));
  }
}

std::int64_t json_count(const Json& value, const std::string& where) {
  const bool good = value.is_number_unsigned() &&
                    value.get<std::uint64_t>() <=
                        static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (!good) {
    throw CheckpointError(format("{}: expected an integer >= 0, found {}", where, value.dump()));
  }
  return value.get<std::int64_t>();
}

std::string json_text(const Json& value, const std::string& where) {
  if (!value.is_string()) {
    throw CheckpointError(format("{}: expected a text, found a {}", where, value.type_name()));
  }
  return value.get<std::string>();
}

JsonObject::JsonObject(const Json& json, std::string where)
    : json_(json), where_(std::move(where)) {
  if (!json.is_object()) {
    throw CheckpointError(format("{}: expected an object, found a {}", where_, json.type_name()));
  }
}

void JsonObject::refuse(const std::string& key, const std::string& expected) const {
  throw CheckpointError(format("{}: {}: expected {}", where_, key, expected));
}

const Json& JsonObject::field(const std::string& key) {
  const auto found = json_.find(key);
  if (found == json_.end()) refuse(key, "this field, found none");
  used_.insert(key);
  return *found;
}

const Json& JsonObject::object(const std::string& key) {
  const Json& value = field(key);
  if (!value.is_object()) refuse(key, "an object");
  return value;
}

const Json& JsonObject::array(const std::string& key) {
  const Json& value = field(key);
  if (!value.is_array()) refuse(key, "an array");
  return value;
}

std::string JsonObject::text(const std::string& key) {
  return json_text(field(key), where_ + ": " + key);
}

std::int64_t JsonObject::count(const std::string& key) {
  return json_count(field(key), where_ + ": " + key);
}

std::uint64_t JsonObject::hex_64(const std::string& key) {
  const std::string digits = text(key);
  std::uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (error != std::errc{} || end != digits.data() + digits.size() || digits.size() != 16) {
    refuse(key, format("16 hexadecimal digits, found '{}'", digits));
  }
  return value;
}

void JsonObject::finish() const {
  for (const auto& [key, value] : json_.items()) {
    if (!used_.contains(key)) refuse(key, "no such field");
  }
}

}  // namespace moe::checkpoint
