/// Moving whole rows: the two halves of permute and combine, each the other's backward.
#pragma once

#include "autograd/variable.h"

namespace moe::ops {

/// Which source each row comes from, and where each source went.
/// @invariant inverse lists, for source s, exactly the rows r with row[r] = s, padded with -1
struct RowMap {
  Tensor row;      ///< [R] i32: source of row r, or -1 (a row of zeros)
  Tensor inverse;  ///< [S, K] i32: rows made of source s, in the order they are to be summed
};

/// out[r] = x[row[r]]. @shape x [S, D] -> [R, D]
/// @grad to x: dx[s] = sum over k of dout[inverse[s, k]], in k order; saves the map  @det yes
Variable gather_rows(const Variable& x, const RowMap& map);

/// out[s] = sum over k in order of x[inverse[s, k]]. @shape x [R, D] -> [S, D]
/// @grad to x: dx[r] = dout[row[r]]; saves the map  @det yes
Variable combine_rows(const Variable& x, const RowMap& map);

}  // namespace moe::ops
