/// Rotary position embedding, rotate-half form: dims j and j + C/2 turn together.
/// @paper Su 2021, arXiv:2104.09864; layout as in Hugging Face
#pragma once

#include "device/stream.h"
#include "tensor/view.h"

namespace moe::kernels {

/// y[t, h] = x[t, h] rotated by the angle of position[t]; inverse turns back (the backward pass).
/// @shape x, y [T, H, C] (y may be x; row stride free, the rest contiguous); cosine, sine [P, C/2] f32 (f64
///   for f64); position [T] i32 in [0, P)
struct Rope {
  View x;
  View y;
  View cosine;
  View sine;
  View position;
  bool inverse = false;
};
void rope(Stream& stream, const Rope& args);

}  // namespace moe::kernels
