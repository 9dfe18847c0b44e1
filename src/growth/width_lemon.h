/// LEMON: as `exact`, and the copies of an input column share it unequally, so that twins part at once.
///
///     A_i = R_i - (sum_j R_j - A) / C        for the C copies of a column A: q, k, v, gate, up, router and
///                                            head columns by g_h, blocks of o by g_head, columns of down by g_ff
///     R_i = A / C * u_i, u_i uniform in [-1, 1) for each element; initializer_range * u_i where A is 0
///
/// The shares sum to A up to rounding, whatever R. R is proportional to A so that the spread follows the weight
/// itself: a column that is small because its channel is large stays small, and rounding stays relative to what
/// the model had. Rows of a router draw alike, so that experts that tie go on to. Under a tied head the final
/// gain is shared instead of the head's columns.
/// @paper LEMON arXiv:2310.07999
#pragma once

#include "growth/width_rule.h"

namespace moe::growth {

WidthRule lemon();

}  // namespace moe::growth
