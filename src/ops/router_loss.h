/// The differentiable parts of router losses.
#pragma once

#include "autograd/variable.h"

namespace moe::ops {

/// sum over tokens t (mask[t] != 0) and experts e of coefficient[group[t], e] * probability[t, e].
/// @shape probability [T, E] f32 (f64); coefficient [G, E] f64; group [T] i32 or undefined (one group); mask [T] u8
///   or undefined (all) -> [1] f64
/// @grad to probability only; saves coefficient  @det yes
Variable weighted_score_sum(const Variable& probability, const Tensor& coefficient,
                            const Tensor& group, const Tensor& mask);

/// sum over tokens (mask[t] != 0) of x[t]^2. @shape x [T] -> [1] f64  @grad to x; saves x  @det yes
/// @paper router z-loss: ST-MoE, arXiv:2202.08906
Variable masked_square_sum(const Variable& x, const Tensor& mask);

/// How many routes of each group's unmasked tokens chose each expert; -1 is skipped.
/// @shape expert [T, K] i32; group [T] i32 in [0, G) or undefined (one group); mask [T] u8 or undefined -> [G, E] i64
/// @det yes
Tensor count_routes(const Tensor& expert, const Tensor& group, const Tensor& mask, const Shape& counts);

}  // namespace moe::ops
