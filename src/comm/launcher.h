/// What a launcher (mpirun, srun) says of this process before MPI is started.
#pragma once

namespace moe::comm {

struct LaunchedAs {
  int rank = 0;
  int size = 1;
};

/// From the launcher's environment; one rank without a launcher. Lets all ranks check what they were given, and one of
/// them speak, before any has to be stopped through MPI.
LaunchedAs launched_as();

}  // namespace moe::comm
