/// AKI-Pro's width: AKI for grouped-query attention with as many groups as before.
///
/// Inside each group the r query heads grow to r' as if they were a small multi-head attention with common
/// keys and values: head j of group k copies head j mod r of the same group, fresh heads from the layer above;
/// k and v only grow their inputs. The other half of AKI-Pro, depth by interpolation, is a stage of its own:
/// `deepen: {method: interpolate}` after this one.
/// @paper AquilaMoE arXiv:2408.06567
#pragma once

#include "growth/width_rule.h"

namespace moe::growth {

WidthRule aki_pro();

}  // namespace moe::growth
