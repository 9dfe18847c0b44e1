/// Every rank ends with the reduction over all ranks.
#pragma once

#include "comm/local_reduce.h"
#include "comm/scratch.h"
#include "comm/transport.h"
#include "tensor/view.h"

namespace moe::comm {

/// @throws ShapeError, DTypeError
void check_all_reduce(const char* operation, const View& buffer);

/// Exchanges chunks, reduces this rank's own in rank order, gathers; a small buffer goes whole to
/// every rank and is reduced there, in the same order and so to the same bits.
/// @comm 2 (P-1)/P of the buffer per rank in 2 exchanges per segment; small: (P-1) buffers in 1
void all_reduce(Transport& transport, Scratch& scratch, const View& buffer, Reduction reduction);

}  // namespace moe::comm
