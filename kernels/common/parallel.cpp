#include "kernels/common/parallel.h"

namespace moe::kernels {

void run_ranges(const Stream& stream, std::int64_t size, std::int64_t grain, RangeBody body,
                void* context) {
  if (size <= 0) return;
  stream.pool().parallel_ranges(
      size, grain, [=](std::int64_t begin, std::int64_t end) { body(context, begin, end); });
}

}  // namespace moe::kernels
