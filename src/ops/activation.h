/// Activations of MLPs and experts.
#pragma once

#include "autograd/variable.h"
#include "kernels/elementwise/activation.h"

namespace moe::ops {

using kernels::ActivationKind;

/// gated: w[r] * act(x[r, :F]) * x[r, F:]; plain: w[r] * act(x[r, :]).
/// @shape x [R, 2F] (gated) or [R, F]; weight [R] f32 (f64 for f64) or undefined (1) -> [R, F]
/// @grad to x and weight; saves x and recomputes the activation; the result itself is not saved
/// @det yes  @paper GLU variants: Shazeer 2020, arXiv:2002.05202; Relu2: Primer, arXiv:2109.08668
Variable activation(const Variable& x, const Variable& weight, ActivationKind kind, bool gated);

}  // namespace moe::ops
