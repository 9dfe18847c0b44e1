/// The down projections of MLPs and experts, which take the activation in: activated rows are not kept for backward
/// but formed again there, in the pass that needs the activation anyway.
#pragma once

#include "autograd/leaf.h"
#include "ops/activation.h"

namespace moe::ops {

/// What activation() would be given.
struct Activated {
  Variable x;       ///< [R, 2F] (gated) or [R, F]
  Variable weight;  ///< [R] f32 (f64 for f64) or undefined (1)
  ActivationKind kind = ActivationKind::Silu;
  bool gated = true;
};

/// linear(activation(input), weight). @shape weight [N, F] -> [R, N]
/// @grad to input.x, input.weight and weight; saves input.x, and forms its gradient in the same memory when nobody
///   else holds it
/// @det yes  @cost 2 R F N FLOP forward, twice that backward
Variable activated_linear(const Activated& input, Leaf& weight);

/// grouped_linear(activation(input), no map, offset, weight). @shape weight [G, N, F]; offset [G+1] i32 -> [R, N]
/// @grad as above  @det yes
/// @paper memory-efficient experts: SonicMoE, arXiv:2512.14080
Variable activated_grouped_linear(const Activated& input, const Tensor& offset, Leaf& weight);

}  // namespace moe::ops
