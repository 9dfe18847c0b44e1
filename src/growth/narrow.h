/// The way back of `widen`: copies are folded into what they were copied from.
///
/// The sizes name the narrower model; `method` is the one it was widened by (it decides about eps and gains). In-columns
/// are summed over their copies, outputs are the first copies, zero channels go. Of a model that was not trained since
/// it was widened this gives the source back, up to the rounding of what was divided; trained copies have parted, and
/// then it is a guess like any pruning.
#pragma once

#include "growth/widen.h"

namespace moe::growth {

/// @throws ConfigError where widening the named sizes does not give the source's
ModelConfig narrowed(const ModelConfig& source, const WidenConfig& options);

std::unique_ptr<Stage> make_narrow(const WidenConfig& options);
std::unique_ptr<StageOptions> narrow_options();

}  // namespace moe::growth
