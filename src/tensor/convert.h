/// Element-wise conversion between dtypes on contiguous host memory; not for hot paths.
#pragma once

#include "tensor/view.h"

namespace moe {

/// target[i] = source[i], converted (to nearest even; saturating nothing).
/// @shape equal element counts, both contiguous
void convert_elements(const View& source, const View& target);

/// target[i] = value.
void fill_elements(const View& target, double value);

}  // namespace moe
