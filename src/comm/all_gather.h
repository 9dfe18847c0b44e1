/// Every rank ends with the inputs of all ranks, in rank order.
#pragma once

#include "comm/transport.h"
#include "tensor/view.h"

namespace moe::comm {

/// @throws ShapeError, DTypeError
void check_all_gather(int ranks, const View& input, const View& output);

/// @invariant input may be this rank's part of the output
/// @comm (P-1) inputs sent per rank
void all_gather(Transport& transport, const View& input, const View& output);

}  // namespace moe::comm
