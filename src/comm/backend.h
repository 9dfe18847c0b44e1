/// Back ends a program can start on, by name.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "comm/world.h"

namespace moe::comm {

/// "mpi" under a launcher (mpirun, srun), else "self": one rank that never touches MPI.
/// @thread makes at most one "mpi" world at a time per process
/// @throws ConfigError with the allowed names, CommError when the back end does not start
std::unique_ptr<World> make_world(const std::string& backend = "auto",
                                  const WorldOptions& options = {});

/// "auto", then the names of the table.
std::vector<std::string> backend_names();

}  // namespace moe::comm
