/// Many ranks in one test process: each is a thread with its own DeviceContext.
#pragma once

#include <gtest/gtest.h>

#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/format.h"
#include "comm/thread/thread_world.h"
#include "device/context.h"

namespace moe::testing {

struct RankOptions {
  int threads_per_rank = 1;
  std::optional<CpuIsa> isa{};  ///< default: the best this CPU has
  double timeout_seconds = 60;  ///< how long a collective waits for a peer
};

namespace detail {

/// The failure to report: the first that is not a mere consequence of another rank's.
class FirstFailure {
 public:
  void record(std::exception_ptr error, bool is_comm_error) {
    const std::lock_guard lock(mutex_);
    if (!error_ || (is_comm_error_ && !is_comm_error)) {
      error_ = error;
      is_comm_error_ = is_comm_error;
    }
  }
  void rethrow() const {
    const bool told_already = is_comm_error_ && ::testing::Test::HasFatalFailure();
    if (error_ && !told_already) std::rethrow_exception(error_);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr error_;
  bool is_comm_error_ = false;
};

inline void run_rank(comm::ThreadWorld& world, int rank, const RankOptions& options,
                     const std::function<void(comm::Group&)>& body, FirstFailure& failure) {
  // The group outlives the failure's report, so that the others hear the cause first.
  const std::unique_ptr<comm::Group> group = world.group(rank);
  try {
    DeviceContext context(options.threads_per_rank, options.isa.value_or(detect_cpu_isa()));
    const ContextScope scope(context);
    body(*group);
    if (::testing::Test::HasFatalFailure()) world.abort("a fatal assertion ended a rank");
  } catch (const CommError& error) {
    failure.record(std::current_exception(), true);
    world.abort(format("rank {} failed: {}", rank, error.what()));
  } catch (const std::exception& error) {
    failure.record(std::current_exception(), false);
    world.abort(format("rank {} failed: {}", rank, error.what()));
  }
}

}  // namespace detail

/// Runs `body(world)` once per rank, all at the same time. When a rank throws (or a fatal assertion
/// ends it) the others' waits throw instead of hanging, and the first failure is thrown here.
inline void run_ranks(int ranks, const std::function<void(comm::Group&)>& body,
                      const RankOptions& options) {
  comm::ThreadWorld world(ranks, options.timeout_seconds);
  detail::FirstFailure failure;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] { detail::run_rank(world, rank, options, body, failure); });
  }
  for (std::thread& thread : threads) thread.join();
  failure.rethrow();
}

inline void run_ranks(int ranks, const std::function<void(comm::Group&)>& body,
                      int threads_per_rank = 1, std::optional<CpuIsa> isa = {}) {
  run_ranks(ranks, body, RankOptions{.threads_per_rank = threads_per_rank, .isa = isa});
}

}  // namespace moe::testing
