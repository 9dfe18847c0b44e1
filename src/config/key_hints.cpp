#include "config/key_hints.h"

#include <algorithm>

#include "base/format.h"
#include "config/familiar_names.h"

namespace moe::config {
namespace {

/// Longer words are no misspelt keys, and comparing them takes time.
constexpr std::size_t kLongestKey = 64;

std::string normalised(std::string_view key) {
  std::string name(key);
  for (char& c : name) {
    if (c == '-') c = '_';
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return name;
}

std::string familiar_path(const std::string& key, const KnownKeys& known) {
  for (const FamiliarName& name : familiar_names()) {
    if (name.foreign == key && known.contains(std::string(name.here)))
      return std::string(name.here);
  }
  return "";
}

/// "did you mean x" within the section, the full path otherwise.
std::string point_to(const UnknownKey& unknown, const std::string& path) {
  const std::string prefix = unknown.section.empty() ? "" : unknown.section + ".";
  const bool same_section =
      path.starts_with(prefix) && path.find('.', prefix.size()) == std::string::npos;
  return format("HINT did you mean {}?", same_section ? path.substr(prefix.size()) : path);
}

std::string hint(const UnknownKey& unknown, const KnownKeys& known) {
  const std::size_t colon = unknown.key.find(':');
  if (unknown.empty_value && colon != std::string::npos) {
    return format("HINT put a space after the colon: '{}: {}'", unknown.key.substr(0, colon),
                  unknown.key.substr(colon + 1));
  }
  const std::string key = normalised(unknown.key);
  if (std::find(unknown.siblings.begin(), unknown.siblings.end(), key) != unknown.siblings.end()) {
    return format("HINT did you mean {}?", key);
  }
  if (const std::string path = familiar_path(key, known); !path.empty()) {
    return point_to(unknown, path);
  }
  if (const std::string path = known.path_of(key); !path.empty()) return point_to(unknown, path);
  const std::string near = nearest_name(key, unknown.siblings);
  return near.empty() ? "" : format("HINT did you mean {}?", near);
}

}  // namespace

void KnownKeys::add(const std::string& path) {
  paths_.insert(path);
  by_last_part_.emplace(path.substr(path.rfind('.') + 1), path);
}

std::string KnownKeys::path_of(const std::string& key) const {
  const auto found = by_last_part_.find(key);
  return found == by_last_part_.end() ? "" : found->second;
}

std::string describe(const UnknownKey& unknown, const KnownKeys& known) {
  std::string message = format("unknown key {}", in_quotes(unknown.key));
  const std::string meant =
      unknown.key.size() <= kLongestKey ? hint(unknown, known) : std::string();
  if (!meant.empty()) return format("{}; {}", message, meant);
  if (unknown.siblings.empty()) return message + "; this section has no keys";
  return format("{}; allowed {}", message, fmt::join(unknown.siblings, ", "));
}

}  // namespace moe::config
