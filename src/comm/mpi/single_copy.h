/// Whether the kernel lets ranks of one node read each other's memory.
#pragma once

namespace moe::comm {

/// Open MPI copies large messages with process_vm_readv and fails noisily where a container forbids
/// it: then tells it, before MPI starts, to go through shared memory instead. A user's own setting
/// stays.
void allow_for_forbidden_single_copy();

}  // namespace moe::comm
