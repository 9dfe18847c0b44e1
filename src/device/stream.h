/// An ordered queue of kernels. On the CPU it is the rank's worker pool and runs at once; on a GPU it
/// will wrap a driver stream.
#pragma once

#include <memory>

#include "device/cpu_isa.h"
#include "device/device.h"
#include "device/worker_pool.h"

namespace moe {

class ActivityObserver;

class Stream {
 public:
  /// A CPU stream of `threads` threads that runs kernels compiled for `isa`.
  Stream(int threads, CpuIsa isa) : pool_(std::make_unique<WorkerPool>(threads)), isa_(isa) {}

  Device device() const { return device_; }
  CpuIsa isa() const { return isa_; }
  WorkerPool& pool() const { return *pool_; }

  /// Told of every kernel that ran here and of waits (device/activity.h); null for nobody. Outlives its use.
  void observe(ActivityObserver* observer) { observer_ = observer; }
  ActivityObserver* observer() const { return observer_; }

 private:
  friend class ActivitySpan;
  friend class ActivityPart;

  Device device_;
  std::unique_ptr<WorkerPool> pool_;
  CpuIsa isa_;
  ActivityObserver* observer_ = nullptr;
  const char* part_ = nullptr;
  bool busy_ = false;
};

}  // namespace moe
