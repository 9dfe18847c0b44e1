/// The threads of one rank. Work is cut into tiles that do not depend on the number of threads, so
/// neither do the bits of any result.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace moe {

class WorkerPool {
 public:
  /// `threads` >= 1 counts the calling thread; threads - 1 are started and sleep between jobs.
  explicit WorkerPool(int threads);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  int threads() const { return threads_; }

  /// Calls `body(i)` once for each i in [0, count), on any thread, and returns when all are done.
  /// @det results must not depend on which thread runs a tile, nor on order
  /// @throws the first exception a tile threw, after all tiles ended
  /// @thread one caller at a time; a nested call from inside a tile runs serially
  void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& body);

  /// Cuts [0, size) into ranges of `grain` items (the last may be shorter): `body(begin, end)`.
  void parallel_ranges(std::int64_t size, std::int64_t grain,
                       const std::function<void(std::int64_t, std::int64_t)>& body);

 private:
  struct Shared;
  int threads_;
  std::unique_ptr<Shared> shared_;
};

}  // namespace moe
