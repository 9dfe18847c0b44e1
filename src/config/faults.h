/// Turns collected problems into the one error that the user sees (internal to config/).
#pragma once

#include <string>
#include <vector>

#include "config/node.h"

namespace moe::config {

/// More than this many messages help nobody; the rest are counted.
inline constexpr std::size_t kMaxFaults = 200;

/// Every fault as "file:line:col: section.key: message", in reading order, then the count.
/// @throws ConfigError always
[[noreturn]] void throw_faults(std::vector<Fault> faults);

}  // namespace moe::config
