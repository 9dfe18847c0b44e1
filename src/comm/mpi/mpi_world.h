/// Ranks that are processes, started by mpirun or srun.
#pragma once

#include <memory>

#include "comm/world.h"

namespace moe::comm {

/// True when this process is one of an MPI launcher's (mpirun, or srun with its PMI): MPI may be
/// started.
bool is_launched_by_mpi();

struct MpiOptions : WorldOptions {
  /// Longer messages travel in pieces: MPI counts are int.
  std::int64_t max_message_bytes = std::int64_t{1} << 30;
};

/// Starts MPI with MPI_THREAD_MULTIPLE if nobody has, and ends it again if it started it.
/// @invariant an exception that unwinds through it leaves MPI unfinished, so that the launcher ends
///   the other ranks instead of waiting for them
class MpiWorld : public World {
 public:
  /// @throws CommError when MPI does not start or lacks thread support
  explicit MpiWorld(const MpiOptions& options = {});
  ~MpiWorld() override;
  MpiWorld(const MpiWorld&) = delete;
  MpiWorld& operator=(const MpiWorld&) = delete;

  Group& group() override { return *group_; }
  int local_rank() const override { return local_rank_; }
  int local_size() const override { return local_size_; }
  void abort(int exit_code) noexcept override;

 private:
  std::unique_ptr<Group> group_;
  int local_rank_ = 0;
  int local_size_ = 1;
  bool started_here_ = false;
  int exceptions_at_birth_ = 0;
};

std::unique_ptr<World> make_mpi_world(const WorldOptions& options);

}  // namespace moe::comm
