/// Root-mean-square normalisation over the last dim, with an optional residual sum folded in.
/// @paper Zhang 2019, arXiv:1910.07467
#pragma once

#include "device/stream.h"
#include "tensor/view.h"

namespace moe::kernels {

/// s = x + delta (s = x without delta); y = s * rstd * weight, rstd = 1 / sqrt(mean(s^2) + epsilon).
/// @shape rows at any distance: x, delta, sum, y [N, D] of one dtype; weight [D] f32 (f64 for f64) or that dtype; rstd [N] f32 (f64
///   for f64). `delta` and `sum` come together or not at all; sum may be x.
/// @invariant y and rstd come from s rounded to its dtype, which is the s that the backward pass reads
/// @det yes
struct RmsNorm {
  View x;
  View delta;
  View weight;
  View sum;
  View y;
  View rstd;
  double epsilon = 1e-6;
};
void rms_norm(Stream& stream, const RmsNorm& args);

/// dx = d(y)/d(s) dy (+ dsum if given); dweight = beta * dweight + sum over rows of dy * s * rstd.
/// @shape s, dy, dsum, dx [N, D] (dx may be dy or dsum); weight as in the forward; dweight [D] f32 (f64 for f64)
/// @det yes: fixed row blocks, summed in order
struct RmsNormBackward {
  View s;
  View weight;
  View rstd;
  View dy;
  View dsum;
  View dx;
  View dweight;
  float beta = 0.0F;
};
void rms_norm_backward(Stream& stream, const RmsNormBackward& args);

}  // namespace moe::kernels
