#include "device/worker_pool.h"

#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <exception>
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
  std::atomic<std::uint32_t> generation{0};
  std::atomic<std::uint32_t> running{0};
  std::atomic<std::int64_t> next{0};
  std::int64_t count = 0;
  const std::function<void(std::int64_t)>* body = nullptr;
  bool stopping = false;
  std::mutex failure_mutex;
  std::exception_ptr failure;
  std::vector<std::thread> workers;

  void take_tiles() {
    inside_tile = true;
    for (;;) {
      const std::int64_t tile = next.fetch_add(1, std::memory_order_relaxed);
      if (tile >= count) break;
      try {
        (*body)(tile);
      } catch (...) {
        const std::lock_guard lock(failure_mutex);
        if (!failure) failure = std::current_exception();
      }
    }
    inside_tile = false;
  }

  void stop() {
    stopping = true;
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
      if (stopping) return;
      take_tiles();
      if (running.fetch_sub(1, std::memory_order_acq_rel) == 1) running.notify_one();
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
  Shared& shared = *shared_;
  shared.count = count;
  shared.body = &body;
  shared.next.store(0, std::memory_order_relaxed);
  shared.running.store(static_cast<std::uint32_t>(threads_ - 1), std::memory_order_relaxed);
  shared.generation.fetch_add(1, std::memory_order_acq_rel);
  shared.generation.notify_all();
  shared.take_tiles();
  for (int spin = 0; spin < kSpins && shared.running.load(std::memory_order_acquire) != 0; ++spin) {
    _mm_pause();
  }
  for (std::uint32_t left = shared.running.load(std::memory_order_acquire); left != 0;
       left = shared.running.load(std::memory_order_acquire)) {
    shared.running.wait(left, std::memory_order_acquire);
  }
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
