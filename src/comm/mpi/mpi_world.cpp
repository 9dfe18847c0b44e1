#include "comm/mpi/mpi_world.h"

#include <cstdlib>
#include <exception>

#include "base/error.h"
#include "base/format.h"
#include "comm/mpi/mpi_api.h"
#include "comm/mpi/mpi_transport.h"
#include "comm/mpi/single_copy.h"
#include "comm/transport_group.h"

namespace moe::comm {
namespace {

bool is_set(const char* variable) {
  return std::getenv(variable) != nullptr;
}

// True if this call started MPI.
bool start_mpi() {
  int running = 0;
  MPI_Initialized(&running);
  int provided = MPI_THREAD_SINGLE;
  if (running == 0) allow_for_forbidden_single_copy();
  if (running != 0) {
    MPI_Query_thread(&provided);
  } else if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided) != MPI_SUCCESS) {
    throw CommError(
        "MPI did not start (MPI_Init_thread failed). HINT: start the program with mpirun");
  }
  if (provided < MPI_THREAD_MULTIPLE) {
    throw CommError(
        format("MPI gives thread level {}, but collectives run beside computation and need "
               "MPI_THREAD_MULTIPLE ({}). HINT: use an MPI built with thread support",
               provided, MPI_THREAD_MULTIPLE));
  }
  return running == 0;
}

}  // namespace

bool is_launched_by_mpi() {
  return is_set("OMPI_COMM_WORLD_SIZE") || is_set("PMIX_RANK") || is_set("PMI_RANK") ||
         (is_set("SLURM_PROCID") && (is_set("PMIX_NAMESPACE") || is_set("PMI_FD")));
}

MpiWorld::MpiWorld(const MpiOptions& options)
    : started_here_(start_mpi()), exceptions_at_birth_(std::uncaught_exceptions()) {
  MPI_Comm node = MPI_COMM_NULL;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
  MPI_Comm_rank(node, &local_rank_);
  MPI_Comm_size(node, &local_size_);
  MPI_Comm_free(&node);
  group_ = make_group(make_mpi_world_transport(options, local_size_), "world");
}

MpiWorld::~MpiWorld() {
  const bool unwinding = std::uncaught_exceptions() > exceptions_at_birth_;
  group_.reset();
  if (started_here_ && !unwinding) MPI_Finalize();
}

void MpiWorld::abort(int exit_code) noexcept {
  if (group_->size() > 1) MPI_Abort(MPI_COMM_WORLD, exit_code);
}

std::unique_ptr<World> make_mpi_world(const WorldOptions& options) {
  MpiOptions mpi;
  static_cast<WorldOptions&>(mpi) = options;
  return std::make_unique<MpiWorld>(mpi);
}

}  // namespace moe::comm
