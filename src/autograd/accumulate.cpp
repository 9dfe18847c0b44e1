#include "autograd/accumulate.h"

#include "base/check.h"
#include "base/error.h"
#include "base/every_width.h"
#include "base/format.h"
#include "device/activity.h"

namespace moe {
namespace {

constexpr std::int64_t kGrain = 1 << 15;

MOE_EVERY_WIDTH void add_range(float* to, const float* from, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] += from[i];
}
MOE_EVERY_WIDTH void add_range(double* to, const double* from, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] += from[i];
}
MOE_EVERY_WIDTH void add_range(BFloat16* to, const BFloat16* from, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    to[i] = BFloat16(static_cast<float>(to[i]) + static_cast<float>(from[i]));
  }
}

template <class T>
void add_typed(const Tensor& target, const Tensor& source) {
  T* to = target.view().as<T>();
  const T* from = source.view().as<T>();
  Stream& stream = current_context().stream;
  const ActivitySpan span(stream, "autograd", "accumulate");
  stream.pool().parallel_ranges(target.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    add_range(to + begin, from + begin, end - begin);
  });
}

}  // namespace

void add_into(const Tensor& target, const Tensor& source) {
  MOE_CHECK(target.dtype() == source.dtype());
  switch (target.dtype()) {
    case DType::F32: return add_typed<float>(target, source);
    case DType::BF16: return add_typed<BFloat16>(target, source);
    case DType::F64: return add_typed<double>(target, source);
    default: throw DTypeError(format("[add_into] no gradients in {}", describe(target)));
  }
}

}  // namespace moe
