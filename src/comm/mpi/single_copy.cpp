#include "comm/mpi/single_copy.h"

#include <sys/uio.h>
#include <unistd.h>

#include <cstdlib>

namespace moe::comm {

void allow_for_forbidden_single_copy() {
  char from = 1;
  char to = 0;
  const iovec local{&to, 1};
  const iovec remote{&from, 1};
  if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == 1) return;
  setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", 0);
}

}  // namespace moe::comm
