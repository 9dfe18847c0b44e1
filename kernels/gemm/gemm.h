/// Dense matrix product; the workhorse behind every linear layer and its two gradients.
#pragma once

#include "device/stream.h"
#include "tensor/view.h"

namespace moe::kernels {

/// c = alpha * op(a) op(b) + beta * c, with op a transpose where asked.
/// @shape op(a) [M, K], op(b) [K, N], c [M, N]; each row-major with inner stride 1 and any row stride
/// @shape dtypes: a and b both f32, bf16 or f64; c has the dtype of a, or f32 (accumulation in f32; f64 in
///   f64). beta = 0 never reads c. K = 0 gives beta * c; M = 0 or N = 0 does nothing.
/// @det yes: every element is summed in one order, so its bits depend neither on the thread count nor on
///   the rows and columns beside it; a row of a batch and the same row alone are bitwise equal
/// @cost 2 M N K FLOP
struct Gemm {
  View a;
  View b;
  View c;
  bool transpose_a = false;
  bool transpose_b = false;
  float alpha = 1.0F;
  float beta = 0.0F;
};
void gemm(Stream& stream, const Gemm& args);

}  // namespace moe::kernels
