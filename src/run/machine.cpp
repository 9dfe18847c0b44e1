#include "run/machine.h"

#include <sched.h>

#include <algorithm>
#include <cstdlib>

#include "base/clock.h"
#include "kernels/elementwise/arithmetic.h"
#include "kernels/gemm/gemm.h"
#include "tensor/tensor.h"

namespace moe::run {
namespace {

int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

}  // namespace

int choose_threads(std::optional<std::int64_t> wanted, int local_ranks) {
  if (wanted) return static_cast<int>(*wanted);
  if (const char* text = std::getenv("OMP_NUM_THREADS")) {
    const int threads = std::atoi(text);
    if (threads > 0) return threads;
  }
  return std::max(1, available_cores() / std::max(1, local_ranks));
}

double measure_gemm_roof() {
  constexpr std::int64_t kSize = 1024;
  Stream& stream = current_context().stream;
  const Tensor a = Tensor::full({kSize, kSize}, DType::F32, 0.5, MemoryCategory::Workspace);
  const Tensor b = Tensor::full({kSize, kSize}, DType::F32, 0.25, MemoryCategory::Workspace);
  const Tensor c = Tensor::zeros({kSize, kSize}, DType::F32, MemoryCategory::Workspace);
  const double flop = 2.0 * kSize * kSize * kSize;
  // Clocks ramp up and neighbours come and go: a few products say less than the best of a while.
  constexpr double kSeconds = 0.15;
  double best = 0.0;
  const Stopwatch all;
  for (int i = 0; i < 5 || all.seconds() < kSeconds; ++i) {
    const Stopwatch watch;
    kernels::gemm(stream, {.a = a.view(), .b = b.view(), .c = c.view(), .transpose_b = true});
    best = std::max(best, flop / watch.seconds());
  }
  return best;
}

double measure_memory_bandwidth() {
  constexpr std::int64_t kElements = std::int64_t{1} << 25;
  const Tensor x = Tensor::full({kElements}, DType::F32, 1.0, MemoryCategory::Workspace);
  double best = 0.0;
  for (int i = 0; i < 5; ++i) {
    const Stopwatch watch;
    kernels::scale_cast(current_context().stream, {.x = x.view(), .out = x.view(), .scale = 0.5});
    best = std::max(best, 2.0 * sizeof(float) * kElements / watch.seconds());
  }
  return best;
}

}  // namespace moe::run
