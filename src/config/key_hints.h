/// Finds what the writer of an unknown key meant (internal to config/).
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "config/node.h"

namespace moe::config {

struct UnknownKey {
  Position at;
  std::string section;  ///< path of the section, "" at the top
  std::string key;
  bool empty_value = false;
  std::vector<std::string> siblings;  ///< the keys that the section knows
};

/// Every key path of the config at hand, with "[]" for list items; searchable by last part.
class KnownKeys {
 public:
  void add(const std::string& path);
  bool contains(const std::string& path) const { return paths_.contains(path); }
  /// A path that ends in `key`, or "".
  std::string path_of(const std::string& key) const;

 private:
  std::set<std::string> paths_;
  std::map<std::string, std::string> by_last_part_;  // first one wins
};

/// "unknown key 'lr'; HINT did you mean learning_rate?"
std::string describe(const UnknownKey& unknown, const KnownKeys& known);

}  // namespace moe::config
