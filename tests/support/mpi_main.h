/// Test programs that run under mpirun: every rank runs every test; see mpi_main.cpp.
#pragma once

#include "comm/world.h"

namespace moe::testing {

/// The world of the running test program.
comm::World& mpi_world();

/// How many ranks the launcher started (1 without one); known before MPI starts.
int mpi_ranks();

}  // namespace moe::testing
