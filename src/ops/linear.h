/// Affine map of the last dim by a parameter.
#pragma once

#include "autograd/leaf.h"
#include "autograd/variable.h"

namespace moe::ops {

/// y = x weight^T (+ bias).
/// @shape x [..., K]; weight [N, K] of the dtype of x, any leading dims are flattened into N; bias [N] or null
///   -> y [..., N]
/// @grad to x, weight, bias; saves x. The weight gradient is accumulated by its GEMM, straight into the window
/// @det yes  @cost 2 T K N FLOP forward, twice that backward
/// @throws ShapeError, DTypeError
Variable linear(const Variable& x, Leaf& weight, Leaf* bias = nullptr);

}  // namespace moe::ops
