/// Explicit tables of named types: `{"adamw", &make_adamw}`; no static initialisers.
///
///     const config::Registry<OptimizerFactory>& optimizers() {
///       static const config::Registry<OptimizerFactory> table("optimizer.name",
///                                                             {{"adamw", &make_adamw}});
///       return table;
///     }
///
///     f.choice("name", name, optimizers().names(), "...");         // in fields()
///     auto optimizer = optimizers().find(config.name)(config);     // when wiring
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"

namespace moe::config {

/// @throws ConfigError "optimizer.name: unknown name, got 'adam'; allowed adamw, muon; HINT ..."
[[noreturn]] void throw_unknown_name(const std::string& key, std::string_view name,
                                     std::span<const std::string> known);

/// An immutable table of names and what makes them.
/// @thread any, once constructed
template <class Factory>
class Registry {
 public:
  /// `key` is the config key that chooses among the entries; it stands in messages.
  Registry(std::string key, std::initializer_list<std::pair<const char*, Factory>> entries)
      : key_(std::move(key)) {
    for (const auto& [name, factory] : entries) {
      MOE_CHECK(!contains(name));
      names_.emplace_back(name);
      factories_.push_back(factory);
    }
  }

  /// In the order of the table.
  const std::vector<std::string>& names() const { return names_; }

  bool contains(std::string_view name) const { return index_of(name) < names_.size(); }

  /// @throws ConfigError for an unknown name, with the valid ones and the nearest
  const Factory& find(std::string_view name) const {
    const std::size_t index = index_of(name);
    if (index == names_.size()) throw_unknown_name(key_, name, names_);
    return factories_[index];
  }

 private:
  std::size_t index_of(std::string_view name) const {
    std::size_t index = 0;
    while (index < names_.size() && names_[index] != name) ++index;
    return index;
  }

  std::string key_;
  std::vector<std::string> names_;
  std::vector<Factory> factories_;
};

}  // namespace moe::config
