/// AdamW in one pass over memory.
/// @paper Loshchilov 2017, arXiv:1711.05101; torch.optim.AdamW's order of operations
#pragma once

#include "device/stream.h"
#include "tensor/view.h"

namespace moe::kernels {

/// g = gradient * clip; p -= lr * decay * p; m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;
/// p -= lr * (m / c1) / (sqrt(v / c2) + epsilon), then compute_copy = p where given.
/// @shape parameter, gradient, moment1, moment2 [n] f32 (all f64 for f64); compute_copy [n] bf16 or absent;
///   step [4] f32 (f64): learning rate, clip factor, c1 = 1 - b1^t, c2 = 1 - b2^t
/// @det yes  @cost reads 4, writes 3 (+ half) words an element
struct AdamW {
  View parameter;
  View gradient;
  View moment1;
  View moment2;
  View compute_copy;
  View step;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0.0;
};
void adamw(Stream& stream, const AdamW& args);

/// out[0] = sum of x^2, accumulated in f64. @shape x [n] f32, bf16, f64; out [1] f64
/// @det yes: fixed blocks, in order
struct SumSquares {
  View x;
  View out;
};
void sum_squares(Stream& stream, const SumSquares& args);

/// out[0] = number of elements that are NaN or infinite. @shape x [n] f32, bf16, f64; out [1] i64
struct CountNonFinite {
  View x;
  View out;
};
void count_non_finite(Stream& stream, const CountNonFinite& args);

}  // namespace moe::kernels
