/// All ranks of a job, as one rank sees them.
#pragma once

#include <string>

#include "comm/group.h"

namespace moe::comm {

/// @invariant groups split from `group()` are destroyed before the world
class World {
 public:
  virtual ~World() = default;

  virtual Group& group() = 0;
  int rank() { return group().rank(); }
  int size() { return group().size(); }
  /// This rank among the ranks of its node: chooses the device and shares the cores.
  virtual int local_rank() const = 0;
  virtual int local_size() const = 0;
  /// Ends every rank of the job with `exit_code`, so that none hangs on a dead one. Does not return
  /// where there are others; a single rank just ends by itself.
  virtual void abort(int exit_code) noexcept = 0;
};

struct WorldOptions {
  double timeout_seconds = 600;  ///< how long a collective waits for a peer
};

}  // namespace moe::comm
