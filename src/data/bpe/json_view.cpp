#include "data/bpe/json_view.h"

#include <algorithm>

#include "base/error.h"
#include "base/format.h"

namespace moe::data::bpe {
namespace {

constexpr std::size_t kShown = 80;

std::string shown(const nlohmann::json& value) {
  if (value.is_object()) return format("an object of {} keys", value.size());
  if (value.is_array()) return format("an array of {} values", value.size());
  std::string text = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  if (text.size() > kShown) text.replace(kShown, std::string::npos, "...");
  return text;
}

/// A key as it is shown: printable and not too long.
std::string key_text(std::string_view key) {
  std::string text;
  for (const char c : key.substr(0, kShown)) text += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  return text;
}

bool says_nothing(const nlohmann::json& value) {
  return value.is_null() || value == false || (!value.is_number() && !value.is_boolean() && value.empty()) ||
         (value.is_string() && value.get_ref<const std::string&>().empty());
}

}  // namespace

nlohmann::json parse_json(const std::string& text, const std::string& origin) {
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    throw DataError(format("{}: expected JSON: {}", origin, std::string(error.what()).substr(0, 300)));
  }
}

JsonView JsonView::of_file(const Json& json, const std::string& path) {
  JsonView view(json, path);
  view.is_file_ = true;
  return view;
}

void JsonView::fail(const std::string& expected) const {
  throw DataError(format("{}: expected {}, found {}", where_, expected, shown(*json_)));
}

JsonView JsonView::require_object() const {
  if (!json_->is_object()) fail("an object");
  return *this;
}

JsonView JsonView::require_array() const {
  if (!json_->is_array()) fail("an array");
  return *this;
}

JsonView JsonView::at(const char* key) const {
  require_object();
  const auto found = json_->find(key);
  if (found == json_->end()) fail(format("the key \"{}\"", key));
  return {*found, where_ + (is_file_ ? ": " : ".") + key};
}

std::optional<JsonView> JsonView::find(const char* key) const {
  require_object();
  const auto found = json_->find(key);
  if (found == json_->end() || found->is_null()) return std::nullopt;
  return at(key);
}

JsonView JsonView::at(std::size_t index) const {
  return {(*json_)[index], format("{}[{}]", where_, index)};
}

std::string JsonView::text() const {
  if (!json_->is_string()) fail("a string");
  return json_->get<std::string>();
}

bool JsonView::boolean() const {
  if (!json_->is_boolean()) fail("true or false");
  return json_->get<bool>();
}

bool JsonView::boolean(const char* key, bool missing) const {
  const auto value = find(key);
  return value ? value->boolean() : missing;
}

std::int32_t JsonView::integer(std::int32_t min, std::int32_t max) const {
  // Not negative where it fits neither: nlohmann keeps large numbers as unsigned ones.
  const bool fits = json_->is_number_integer() &&
                    (!json_->is_number_unsigned() || json_->get<std::uint64_t>() <= INT64_MAX) &&
                    json_->get<std::int64_t>() >= min && json_->get<std::int64_t>() <= max;
  if (!fits) fail(format("an integer in [{}, {}]", min, max));
  return json_->get<std::int32_t>();
}

void JsonView::allow_only(std::initializer_list<std::string_view> known) const {
  require_object();
  for (const auto& [key, value] : json_->items()) {
    if (std::find(known.begin(), known.end(), key) != known.end() || says_nothing(value)) continue;
    throw DataError(format("{}: the key \"{}\" is not supported (found {})", where_, key_text(key),
                           shown(value)));
  }
}

}  // namespace moe::data::bpe
