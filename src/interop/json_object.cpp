#include "interop/json_object.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/format.h"

namespace moe::interop {

using Json = nlohmann::json;

/// The value under `path` in the text that `where` names.
struct JsonObject::Node {
  Json json;
  std::string where;
  std::string path;  ///< keys of the objects around it, each with a dot
};

namespace {

constexpr int kMaxDepth = 64;
constexpr std::size_t kShownCharacters = 80;

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

/// The value, or null where there is none.
const Json* find(const Json& object, const std::string& key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

bool is_int64(const Json& value) {
  if (!value.is_number_integer()) return false;
  return !value.is_number_unsigned() ||
         value.get<std::uint64_t>() <=
             static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
}

}  // namespace

JsonObject JsonObject::parse(std::string_view text, const std::string& where) {
  auto node = std::make_shared<Node>();
  node->where = where;
  KeyWatch watch(where);
  try {
    node->json = Json::parse(text, std::ref(watch));
  } catch (const Json::exception& error) {
    throw CheckpointError(format("{}: not valid JSON: {}", where, error.what()));
  }
  if (!node->json.is_object()) {
    throw CheckpointError(
        format("{}: expected a JSON object, found {}", where, node->json.type_name()));
  }
  return JsonObject(std::move(node));
}

bool JsonObject::has(const std::string& key) const { return find(node_->json, key) != nullptr; }

bool JsonObject::mentions(const std::string& key) const { return node_->json.contains(key); }

std::vector<std::string> JsonObject::keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : node_->json.items()) keys.push_back(key);
  return keys;
}

std::optional<bool> JsonObject::boolean(const std::string& key) const {
  const Json* value = find(node_->json, key);
  if (value == nullptr) return {};
  if (!value->is_boolean()) refuse(key, "true or false");
  return value->get<bool>();
}

std::optional<std::int64_t> JsonObject::integer(const std::string& key) const {
  const Json* value = find(node_->json, key);
  if (value == nullptr) return {};
  if (!is_int64(*value)) refuse(key, "an integer");
  return value->get<std::int64_t>();
}

std::optional<double> JsonObject::number(const std::string& key) const {
  const Json* value = find(node_->json, key);
  if (value == nullptr) return {};
  if (!value->is_number() || !std::isfinite(value->get<double>())) refuse(key, "a finite number");
  return value->get<double>();
}

std::optional<std::string> JsonObject::text(const std::string& key) const {
  const Json* value = find(node_->json, key);
  if (value == nullptr) return {};
  if (!value->is_string()) refuse(key, "a text");
  return value->get<std::string>();
}

std::optional<std::vector<std::int64_t>> JsonObject::integers(const std::string& key) const {
  const Json* value = find(node_->json, key);
  if (value == nullptr) return {};
  if (!value->is_array()) refuse(key, "a list of integers");
  std::vector<std::int64_t> all;
  for (const Json& element : *value) {
    if (!is_int64(element)) refuse(key, "a list of integers");
    all.push_back(element.get<std::int64_t>());
  }
  return all;
}

std::optional<std::vector<std::string>> JsonObject::texts(const std::string& key) const {
  const Json* value = find(node_->json, key);
  if (value == nullptr) return {};
  if (!value->is_array()) refuse(key, "a list of texts");
  std::vector<std::string> all;
  for (const Json& element : *value) {
    if (!element.is_string()) refuse(key, "a list of texts");
    all.push_back(element.get<std::string>());
  }
  return all;
}

std::optional<JsonObject> JsonObject::object(const std::string& key) const {
  const Json* value = find(node_->json, key);
  if (value == nullptr) return {};
  if (!value->is_object()) refuse(key, "an object");
  auto node = std::make_shared<Node>();
  node->json = *value;
  node->where = node_->where;
  node->path = node_->path + key + ".";
  return JsonObject(std::move(node));
}

void JsonObject::refuse(const std::string& key, const std::string& expected) const {
  throw CheckpointError(format("{}: {}{}: expected {}, found {}", node_->where, node_->path, key,
                               expected, spelled(key)));
}

std::string JsonObject::spelled(const std::string& key) const {
  const auto found = node_->json.find(key);
  if (found == node_->json.end()) return "nothing";
  std::string text = found->dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > kShownCharacters) text = text.substr(0, kShownCharacters) + "...";
  return text;
}

const std::string& JsonObject::where() const { return node_->where; }

}  // namespace moe::interop
