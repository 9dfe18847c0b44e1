/// Root-mean-square normalisation, alone or behind a residual sum.
#pragma once

#include "autograd/leaf.h"
#include "autograd/variable.h"

namespace moe::ops {

/// x / sqrt(mean(x^2) + epsilon) * weight over the last dim (of size D = weight's).
/// @shape x of N * D elements, any dims; weight [D] f32 (f64 for f64) -> as x
/// @grad to x and weight; saves x and one number a row  @det yes
/// @paper Zhang 2019, arXiv:1910.07467
Variable rms_norm(const Variable& x, Leaf& weight, double epsilon);

struct ResidualNorm {
  Variable sum;
  Variable normed;
};
/// sum = x + delta; normed = rms_norm(sum), in one pass.
ResidualNorm add_rms_norm(const Variable& x, const Variable& delta, Leaf& weight, double epsilon);

}  // namespace moe::ops
