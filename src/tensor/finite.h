/// Looking for NaN and infinity in weights.
#pragma once

#include <cstdint>

#include "tensor/view.h"

namespace moe {

struct NonFinite {
  std::int64_t count = 0;
  std::int64_t first = -1;  ///< index of the first one; -1: there is none
};

/// Elements that are NaN or infinite; none for integers. @shape values contiguous host memory
/// @cost one pass over the bits
NonFinite find_non_finite(const View& values);

}  // namespace moe
