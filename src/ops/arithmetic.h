/// Sums, casts, clamping and scalar combinations.
#pragma once

#include <span>

#include "autograd/variable.h"

namespace moe::ops {

/// a + b. @shape equal, same dtype  @grad to both; saves nothing  @det yes
Variable add(const Variable& a, const Variable& b);

/// x in another floating dtype. @grad cast back  @det yes
Variable cast(const Variable& x, DType dtype);

/// min(max(x, -bound), bound). @grad passes where |x| <= bound; saves x  @det yes
/// @paper QKV clipping: MPT, OLMoE arXiv:2409.02060
Variable clamp(const Variable& x, double bound);

/// sum of weights[i] * terms[i]. @shape scalars [1] f64  @grad to each term
Variable weighted_sum(std::span<const Variable> terms, std::span<const double> weights);

/// y[t, :] = sigmoid(gate[t]) * x[t, :]. @shape gate [T, 1]; x [T, D]  @grad to both; saves both
Variable sigmoid_gate(const Variable& gate, const Variable& x);

}  // namespace moe::ops
