/// Exchanges over MPI point-to-point messages.
#pragma once

#include <memory>

#include "comm/mpi/mpi_world.h"
#include "comm/transport.h"

namespace moe::comm {

/// The transport of all ranks, on a communicator of its own. `local_ranks` of them share this
/// node's cores.
std::unique_ptr<Transport> make_mpi_world_transport(const MpiOptions& options, int local_ranks);

}  // namespace moe::comm
