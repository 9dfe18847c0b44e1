/// FLOP/s of matrix products, beside a large square product of oneDNN in the same process.
#pragma once

#include <benchmark/benchmark.h>
#include <oneapi/dnnl/dnnl.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <string>

#include "bench/buffer.h"
#include "device/cpu_isa.h"
#include "device/stream.h"

namespace moe::bench {

/// Time of one call on the clock, and processor time. The second can be compared while other
/// programs use the machine; it is exact for one thread only.
struct Cost {
  double seconds = std::numeric_limits<double>::infinity();
  double cpu_seconds = std::numeric_limits<double>::infinity();
};

inline double cpu_clock() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// Keeps the least cost seen.
template <class F>
void keep_least(Cost& least, F&& run) {
  const auto start = std::chrono::steady_clock::now();
  const double cpu_start = cpu_clock();
  run();
  const double cpu = cpu_clock() - cpu_start;
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
  least.seconds = std::min(least.seconds, passed.count());
  least.cpu_seconds = std::min(least.cpu_seconds, cpu);
}

/// FLOP of a square f32 product.
inline constexpr double kSquareFlop = 2.0 * 1024 * 1024 * 1024;

/// Cost of such a product of oneDNN on each of `threads` threads at once: the best of a few.
inline Cost square_cost(int threads) {
  static std::map<int, Cost> known;
  const auto found = known.find(threads);
  if (found != known.end()) return found->second;
  constexpr std::int64_t kSize = 1024;
  const Buffer a(DType::F32, {kSize, kSize});
  const Buffer b(DType::F32, {kSize, kSize});
  const Buffer c(DType::F32, {threads, kSize, kSize});
  const Stream stream(threads, choose_cpu_isa());
  Cost least;
  for (int i = 0; i < 10; ++i) {
    keep_least(least, [&] {
      stream.pool().parallel_for(threads, [&](std::int64_t at) {
        dnnl_sgemm('N', 'N', kSize, kSize, kSize, 1.0F, a.view().as<float>(), kSize,
                   b.view().as<float>(), kSize, 0.0F,
                   c.view().as<float>() + at * kSize * kSize, kSize);
      });
    });
  }
  return known[threads] = least;
}

/// Runs and reports the best iteration: other programs on the machine only ever slow one down.
/// GFLOP/s and share are by the clock; GFLOP/cpu_s and cpu_share (one thread) by processor time.
template <class F>
void measure_rate(benchmark::State& state, double flop, F&& run) {
  const int threads = static_cast<int>(state.range(0));
  Stream stream(threads, choose_cpu_isa());
  run(stream);
  Cost least;
  for (auto _ : state) keep_least(least, [&] { run(stream); });
  const Cost square = square_cost(threads);
  const double square_flop = kSquareFlop * threads;
  state.counters["GFLOP/s"] = flop / least.seconds * 1e-9;
  state.counters["share"] = flop / least.seconds / (square_flop / square.seconds);
  if (threads == 1) {
    state.counters["GFLOP/cpu_s"] = flop / least.cpu_seconds * 1e-9;
    state.counters["cpu_share"] = flop / least.cpu_seconds / (square_flop / square.cpu_seconds);
  }
  state.SetLabel(std::string(to_string(stream.isa())));
}

inline void one_and_two_threads(benchmark::internal::Benchmark* bench) {
  bench->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMicrosecond);
}

}  // namespace moe::bench
