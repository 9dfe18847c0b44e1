/// Element-wise sums, products and conversions. Flat arguments are contiguous; matrices [R, N] have contiguous
/// rows at any distance.
/// @throws ShapeError, DTypeError on arguments that do not fit
#pragma once

#include "device/stream.h"
#include "tensor/view.h"

namespace moe::kernels {

/// out = a + b (out may be a or b). @shape equal; f32, bf16 (summed in f32), f64
struct Add {
  View a;
  View b;
  View out;
};
void add(Stream& stream, const Add& args);

/// out = scale * x + beta * out. @shape equal; x and out each f32, bf16 or f64; with scale 1 and beta 0 a cast.
/// beta 0 never reads out; out may be x where the dtypes agree
struct ScaleCast {
  View x;
  View out;
  double scale = 1.0;
  double beta = 0.0;
};
void scale_cast(Stream& stream, const ScaleCast& args);

/// y[r, :] = x[r, :] + bias (y may be x). @shape x, y [R, N]; bias [N], f32 or the dtype of x
struct AddBias {
  View x;
  View bias;
  View y;
};
void add_bias(Stream& stream, const AddBias& args);

/// out[n] = beta * out[n] + sum over r of x[r, n]. @shape x [R, N]; out [N] f32 (f64 for f64)
/// @det yes: fixed row blocks, summed in order; beta 0 never reads out
struct ColumnSum {
  View x;
  View out;
  float beta = 0.0F;
};
void column_sum(Stream& stream, const ColumnSum& args);

/// y = min(max(x, -bound), bound); NaN stays NaN. @shape equal dtypes and shapes (y may be x)
struct Clamp {
  View x;
  View y;
  double bound = 0.0;
};
void clamp(Stream& stream, const Clamp& args);

/// dx = dy where |x| <= bound, else 0 (dx may be dy).
struct ClampBackward {
  View x;
  View dy;
  View dx;
  double bound = 0.0;
};
void clamp_backward(Stream& stream, const ClampBackward& args);

/// y[r, :] = sigmoid(gate[r]) * x[r, :]. @shape gate [R] or [R, 1], f32 or the dtype of x; x, y [R, N]
/// @paper Qwen2-MoE's gated shared expert
struct SigmoidGate {
  View gate;
  View x;
  View y;
};
void sigmoid_gate(Stream& stream, const SigmoidGate& args);

/// dx[r, :] = sigmoid(gate[r]) * dy[r, :]; dgate[r] = sigmoid'(gate[r]) * sum of dy[r, :] * x[r, :].
/// @shape dx [R, N] (may be dy); dgate of gate's shape and dtype  @det yes
struct SigmoidGateBackward {
  View gate;
  View x;
  View dy;
  View dgate;
  View dx;
};
void sigmoid_gate_backward(Stream& stream, const SigmoidGateBackward& args);

/// out[0] = sum of x. @shape x any f32, bf16, f64; out [1] f64  @det yes: fixed blocks, in order
struct Sum {
  View x;
  View out;
};
void sum(Stream& stream, const Sum& args);

}  // namespace moe::kernels
