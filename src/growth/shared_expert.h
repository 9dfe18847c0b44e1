/// A shared expert that is several copies of a dense layer side by side.
#pragma once

#include "growth/expert_source.h"

namespace moe::growth {

/// Gate, up: the rows repeat; down: the columns repeat, times `factor`. The sum over the copies is
/// factor * copies times the dense layer.
/// @shape gate_up [2, copies F, D] ([1, ...] plain), down [D, copies F]
ExpertFill shared_expert(const DenseLayer& dense, std::int64_t copies, double factor);

}  // namespace moe::growth
