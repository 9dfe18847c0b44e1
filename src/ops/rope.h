/// Rotary position embedding.
#pragma once

#include "autograd/variable.h"

namespace moe::ops {

/// Angles of every position: row p holds cos and sin of p * frequency[j].
struct RopeTable {
  Tensor cosine;  ///< [P, C/2] f32 (f64 for f64)
  Tensor sine;
};

/// @shape x [T, H, C]; position [T] i32, each in [0, P) -> [T, H, C]
/// @grad to x (turned back); saves nothing of x  @det yes
/// @paper Su 2021, arXiv:2104.09864, rotate-half layout of Hugging Face
Variable rope(const Variable& x, const RopeTable& table, const Tensor& position);

}  // namespace moe::ops
