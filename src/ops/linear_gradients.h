/// The backward halves of the linear layers, for the ops that have one inside.
#pragma once

#include "autograd/leaf.h"
#include "tensor/tensor.h"

namespace moe::ops {

/// The tensor as rows of its last dim.
Tensor as_matrix(const Tensor& tensor);
/// A stack of matrices [G, N, K] from [G, ..., K].
Tensor as_stack(const Tensor& weight);

/// dy W. @shape dy [T, N], weight [N..., K] -> [T, K]
Tensor linear_input_gradient(const Tensor& dy_TN, const Leaf& weight);
/// Adds dy^T x to the weight's window. @shape dy [T, N], x [T, K]
void add_linear_weight_gradient(const Tensor& dy_TN, const Tensor& x_TK, Leaf& weight);

/// dy[r] W[g] for the rows r of group g. @shape dy [R, N], offset [G+1] -> [R, K]
Tensor grouped_input_gradient(const Tensor& dy_RN, const Tensor& offset, const Leaf& weight);
/// Adds the sum over r of dy[r]^T x[row[r]] to each group's window; without rows, row[r] = r.
/// @shape dy [R, N], x [S, K]; row [R] i32 or absent
void add_grouped_weight_gradient(const Tensor& dy_RN, const Tensor& x, const View& row,
                                 const Tensor& offset, Leaf& weight);

}  // namespace moe::ops
