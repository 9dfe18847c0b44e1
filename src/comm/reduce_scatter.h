/// Every rank ends with its own part of the sum over all ranks.
#pragma once

#include "comm/scratch.h"
#include "comm/transport.h"
#include "tensor/view.h"

namespace moe::comm {

/// @throws ShapeError, DTypeError
void check_reduce_scatter(int ranks, const View& input, const View& output);

/// Exchanges parts in segments and sums them in rank order.
/// @invariant output may be this rank's part of the input
/// @comm (P-1)/P of the input per rank
void reduce_scatter_sum(Transport& transport, Scratch& scratch, const View& input,
                        const View& output);

}  // namespace moe::comm
