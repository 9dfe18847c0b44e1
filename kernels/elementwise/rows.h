/// Gathering, scattering and summing whole rows: embeddings, permute and combine. Rows stand at any distance;
/// indices are contiguous.
/// @throws ShapeError for an index outside [-1, rows)
#pragma once

#include "device/stream.h"
#include "tensor/view.h"

namespace moe::kernels {

/// out[r, :] = x[index[r], :]; index -1 gives zeros.
/// @shape x [N, D]; index [R] i32; out [R, D]; x and out may differ in dtype (f32, bf16, f64)
struct GatherRows {
  View x;
  View index;
  View out;
};
void gather_rows(Stream& stream, const GatherRows& args);

/// target[v, :] = beta * target[v, :] + sum over r with index[r] = v of x[r, :], in increasing r.
/// beta is 0 (target is overwritten, rows without sources become zeros) or 1. index -1 is skipped.
/// @shape x [R, D]; index [R] i32; target [V, D] f32 (f64 for f64); V may exceed R by far: with beta 1 the cost
///   must not depend on V beyond the rows touched
/// @det yes: no atomics
struct ScatterAddRows {
  View x;
  View index;
  View target;
  float beta = 1.0F;
};
void scatter_add_rows(Stream& stream, const ScatterAddRows& args);

/// out[t, :] = sum over k in order of x[index[t, k], :]; index -1 adds nothing. Sums in f32 (f64 for f64).
/// @shape x [R, D]; index [T, K] i32; out [T, D], dtype of x
struct CombineRows {
  View x;
  View index;
  View out;
};
void combine_rows(Stream& stream, const CombineRows& args);

}  // namespace moe::kernels
