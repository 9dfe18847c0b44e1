/// Matrix products of ragged groups of rows, one weight matrix a group: the experts' linear layers.
/// @paper dropless grouped form: MegaBlocks, arXiv:2211.15841; gather on input: ScatterMoE, arXiv:2403.08245
#pragma once

#include "device/stream.h"
#include "tensor/view.h"

namespace moe::kernels {

/// For each group g: c[r] = a[row[r]] op(b[g]) + beta * c[r], for r in [offset[g], offset[g+1]).
/// @shape a [any, K]; row [R] i32 or absent (then row[r] = r); offset [G+1] i32, offset[0] = 0, offset[G] = R;
///   b [G, K, N], or [G, N, K] with transpose_b; c [R, N]. dtypes as in Gemm. Empty groups are normal.
/// @det yes: each row has the bits that `gemm` gives it  @cost 2 R K N FLOP
/// @throws ShapeError if offset does not rise from 0 to R, or an index is outside a
struct GroupedGemm {
  View a;
  View row;
  View offset;
  View b;
  View c;
  bool transpose_b = false;
  float beta = 0.0F;
};
void grouped_gemm(Stream& stream, const GroupedGemm& args);

/// For each group g: c[g] = sum over its rows r of a[row_a[r]]^T b[row_b[r]] + beta * c[g].
/// @shape a [any, M]; b [any, N]; row_a, row_b [R] i32 or absent; offset [G+1] i32; c [G, M, N] f32 (f64 for
///   f64). With beta = 0 an empty group's c is set to exact zeros.
/// @det yes: rows are summed in order  @cost 2 R M N FLOP
struct GroupedGemmWeight {
  View a;
  View row_a;
  View b;
  View row_b;
  View offset;
  View c;
  float beta = 0.0F;
};
void grouped_gemm_weight(Stream& stream, const GroupedGemmWeight& args);

}  // namespace moe::kernels
