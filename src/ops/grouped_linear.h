/// The experts' linear layers: one weight matrix a group of rows.
#pragma once

#include "autograd/leaf.h"
#include "autograd/variable.h"
#include "ops/rows.h"

namespace moe::ops {

/// y[r] = weight[g] x[map.row[r]] for the rows r of group g; without a map, row[r] = r.
/// @shape x [S, K]; weight [G, ..., K], inner dims flattened into N; offset [G+1] i32 with offset[G] = R
///   -> [R, N]
/// @grad to x and weight; saves x (unsorted: the sorted copy never exists). A group without rows has an exact zero
///   gradient. The weight gradient is accumulated by its GEMM, straight into the window
/// @det yes  @cost 2 R K N FLOP forward, twice that backward
/// @paper ScatterMoE, arXiv:2403.08245
Variable grouped_linear(const Variable& x, const RowMap* map, const Tensor& offset, Leaf& weight);

}  // namespace moe::ops
