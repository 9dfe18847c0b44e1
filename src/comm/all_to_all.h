/// Rows go to the ranks that own them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "comm/transport.h"
#include "tensor/view.h"

namespace moe::comm {

/// Where each rank's rows start and end in bytes.
struct AllToAllParts {
  std::vector<SendPart> send;
  std::vector<ReceivePart> receive;
};

/// Checks the arguments and cuts the buffers.
/// @throws ShapeError, DTypeError
AllToAllParts cut_all_to_all(int rank, const View& send, std::span<const std::int64_t> send_rows,
                             const View& receive, std::span<const std::int64_t> receive_rows,
                             int ranks);

}  // namespace moe::comm
