#include "device/worker_pool.h"

#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <limits>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/error.h"
#include "base/format.h"

// libgomp reads this per-thread setting: oneDNN, called from our workers, must not start threads of
// its own. Declared here so that no OpenMP header or flag is needed.
extern "C" void omp_set_num_threads(int) __attribute__((weak));

namespace moe {
namespace {

thread_local bool inside_tile = false;

void forbid_nested_threads() {
  if (omp_set_num_threads != nullptr) omp_set_num_threads(1);
}

// Short jobs follow each other within microseconds; a longer wait should not steal a core.
constexpr int kSpins = 2000;

/// One thread keeps the contract of many: every tile runs, then the first failure is thrown.
void run_serially(std::int64_t count, const std::function<void(std::int64_t)>& body) {
  std::exception_ptr failure;
  for (std::int64_t tile = 0; tile < count; ++tile) {
    try {
      body(tile);
    } catch (...) {
      if (!failure) failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

struct WorkerPool::Shared {
  // The job: its generation (high half) and how many tiles nobody has taken yet (low half). A tile is
  // taken only while its job is open, and the job stays open until the tile is done: a worker that
  // wakes late finds nothing to take and is waited for by nobody.
  std::atomic<std::uint64_t> ticket{0};
  std::atomic<std::uint32_t> generation{0};
  std::atomic<std::uint32_t> done{0};
  std::atomic<bool> stopping{false};
  std::uint32_t count = 0;                                   // read after taking a tile only
  const std::function<void(std::int64_t)>* body = nullptr;  // likewise
  std::mutex failure_mutex;
  std::exception_ptr failure;
  std::vector<std::thread> workers;

  bool take(std::uint32_t job, std::uint32_t& left) {
    std::uint64_t current = ticket.load(std::memory_order_acquire);
    do {
      left = static_cast<std::uint32_t>(current);
      if (static_cast<std::uint32_t>(current >> 32) != job || left == 0) return false;
    } while (!ticket.compare_exchange_weak(current, current - 1, std::memory_order_acq_rel,
                                           std::memory_order_acquire));
    return true;
  }

  void take_tiles(std::uint32_t job) {
    inside_tile = true;
    for (std::uint32_t left = 0; take(job, left);) {
      const std::uint32_t all = count;  // may change once the last tile is done
      try {
        (*body)(static_cast<std::int64_t>(all - left));
      } catch (...) {
        const std::lock_guard lock(failure_mutex);
        if (!failure) failure = std::current_exception();
      }
      if (done.fetch_add(1, std::memory_order_acq_rel) + 1 == all) done.notify_one();
    }
    inside_tile = false;
  }

  void stop() {
    stopping.store(true, std::memory_order_relaxed);
    generation.fetch_add(1, std::memory_order_acq_rel);
    generation.notify_all();
    for (std::thread& worker : workers) worker.join();
  }

  void work() {
    forbid_nested_threads();
    std::uint32_t seen = 0;
    for (;;) {
      std::uint32_t now = generation.load(std::memory_order_acquire);
      for (int spin = 0; now == seen && spin < kSpins; ++spin) {
        _mm_pause();
        now = generation.load(std::memory_order_acquire);
      }
      if (now == seen) {
        generation.wait(seen, std::memory_order_acquire);
        continue;
      }
      seen = now;
      if (stopping.load(std::memory_order_relaxed)) return;
      take_tiles(now);
    }
  }

  /// Returns when every tile of the open job is done.
  void wait_until_done() {
    std::uint32_t finished = done.load(std::memory_order_acquire);
    for (int spin = 0; spin < kSpins && finished != count; ++spin) {
      _mm_pause();
      finished = done.load(std::memory_order_acquire);
    }
    while (finished != count) {
      done.wait(finished, std::memory_order_acquire);
      finished = done.load(std::memory_order_acquire);
    }
  }
};

WorkerPool::WorkerPool(int threads) : threads_(threads), shared_(std::make_unique<Shared>()) {
  MOE_CHECK_GE(threads, 1);
  try {
    for (int i = 1; i < threads; ++i) {
      shared_->workers.emplace_back([shared = shared_.get()] { shared->work(); });
    }
  } catch (const std::exception& error) {
    const std::size_t started = shared_->workers.size();
    shared_->stop();
    throw DeviceError(format("cpu: cannot start {} worker threads, the system allowed {}: {}. HINT: "
                             "lower runtime.threads", threads - 1, started, error.what()));
  }
}

WorkerPool::~WorkerPool() { shared_->stop(); }

void WorkerPool::parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& body) {
  if (count <= 0) return;
  thread_local const bool configured = (forbid_nested_threads(), true);
  (void)configured;
  if (count == 1 || threads_ == 1 || inside_tile) {
    run_serially(count, body);
    return;
  }
  MOE_CHECK_LE(count, std::int64_t{std::numeric_limits<std::uint32_t>::max()});
  Shared& shared = *shared_;
  shared.count = static_cast<std::uint32_t>(count);
  shared.body = &body;
  shared.done.store(0, std::memory_order_relaxed);
  const std::uint32_t job = shared.generation.load(std::memory_order_relaxed) + 1;
  shared.ticket.store((std::uint64_t{job} << 32) | shared.count, std::memory_order_release);
  shared.generation.store(job, std::memory_order_release);
  shared.generation.notify_all();
  shared.take_tiles(job);
  shared.wait_until_done();
  if (shared.failure) std::rethrow_exception(std::exchange(shared.failure, nullptr));
}

void WorkerPool::parallel_ranges(std::int64_t size, std::int64_t grain,
                                 const std::function<void(std::int64_t, std::int64_t)>& body) {
  MOE_CHECK_GE(grain, 1);
  const std::int64_t tiles = (size + grain - 1) / grain;
  parallel_for(tiles, [&](std::int64_t tile) {
    const std::int64_t begin = tile * grain;
    body(begin, std::min(size, begin + grain));
  });
}

}  // namespace moe
