/// Every rank ends with the root's buffer.
#pragma once

#include "comm/transport.h"
#include "tensor/view.h"

namespace moe::comm {

/// @throws ShapeError
void check_broadcast(int ranks, const View& buffer, int root);

/// A small buffer goes straight to everyone; a large one is scattered and then gathered, so that
/// the root sends it about once instead of P-1 times.
/// @comm small: the root sends P-1 buffers; large: every rank at most about 2 buffers
void broadcast(Transport& transport, const View& buffer, int root);

}  // namespace moe::comm
