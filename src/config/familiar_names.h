/// Names that people bring along from other trainers, and what they are called here.
#pragma once

#include <span>
#include <string_view>

namespace moe::config {

struct FamiliarName {
  std::string_view foreign;  ///< lower case, '_' for '-'
  std::string_view here;     ///< full path: "optimizer.learning_rate"
};

/// Used for hints only; a row whose target does not exist in the config at hand is passed over.
std::span<const FamiliarName> familiar_names();

}  // namespace moe::config
