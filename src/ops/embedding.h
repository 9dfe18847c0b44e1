/// Rows of a table by token id.
#pragma once

#include "autograd/leaf.h"
#include "autograd/variable.h"

namespace moe::ops {

/// @shape token [T] i32 in [0, V); table [V, D] -> [T, D]
/// @grad to the table: rows are summed in token order, straight into its window; saves the ids. Row `padding`
///   (if >= 0) gets no gradient from here, as in torch's padding_idx  @det yes
Variable embedding(const Tensor& token, Leaf& table, std::int32_t padding = -1);

}  // namespace moe::ops
