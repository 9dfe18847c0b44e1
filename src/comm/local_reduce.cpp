#include "comm/local_reduce.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>

#include "base/check.h"

namespace moe::comm {
namespace {

// Elements summed in the first-level cache before they are stored.
constexpr std::int64_t kBlock = 1024;
// Inner loops of known length are vectorised at every optimisation level.
constexpr std::int64_t kLanes = 16;
static_assert(kBlock % kLanes == 0);

struct Sum {
  template <class T>
  static T join(T a, T b) {
    if constexpr (std::is_integral_v<T>) {
      using U = std::make_unsigned_t<T>;
      return static_cast<T>(static_cast<U>(a) + static_cast<U>(b));
    } else {
      return a + b;
    }
  }
};

struct Max {
  template <class T>
  static T join(T a, T b) {
    if constexpr (std::is_integral_v<T>) {
      return a < b ? b : a;
    } else {
      return (b > a || b != b) ? b : a;
    }
  }
};

template <class Join, class T>
void join_block(T* __restrict sum, const T* __restrict input, std::int64_t count) {
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) {
      sum[i + lane] = Join::join(sum[i + lane], input[i + lane]);
    }
  }
  for (; i < count; ++i) sum[i] = Join::join(sum[i], input[i]);
}

template <class Join, class T>
void reduce_typed(std::span<const std::byte* const> inputs, std::byte* output, std::int64_t count) {
  alignas(64) std::array<T, kBlock> sum;
  for (std::int64_t begin = 0; begin < count; begin += kBlock) {
    const std::int64_t length = std::min(kBlock, count - begin);
    const auto bytes = static_cast<std::size_t>(length) * sizeof(T);
    std::memcpy(sum.data(), reinterpret_cast<const T*>(inputs[0]) + begin, bytes);
    for (const std::byte* input : inputs.subspan(1)) {
      join_block<Join>(sum.data(), reinterpret_cast<const T*>(input) + begin, length);
    }
    std::memcpy(reinterpret_cast<T*>(output) + begin, sum.data(), bytes);
  }
}

template <class T>
void reduce_by(Reduction reduction, std::span<const std::byte* const> inputs, std::byte* output,
               std::int64_t count) {
  if (reduction == Reduction::Sum) {
    reduce_typed<Sum, T>(inputs, output, count);
  } else {
    reduce_typed<Max, T>(inputs, output, count);
  }
}

}  // namespace

bool is_reducible(DType dtype) {
  return dtype == DType::F32 || dtype == DType::F64 || dtype == DType::I32 || dtype == DType::I64;
}

void reduce_in_order(Reduction reduction, DType dtype, std::span<const std::byte* const> inputs,
                     std::byte* output, std::int64_t count) {
  MOE_CHECK(is_reducible(dtype));
  switch (dtype) {
    case DType::F32:
      return reduce_by<float>(reduction, inputs, output, count);
    case DType::F64:
      return reduce_by<double>(reduction, inputs, output, count);
    case DType::I32:
      return reduce_by<std::int32_t>(reduction, inputs, output, count);
    case DType::I64:
      return reduce_by<std::int64_t>(reduction, inputs, output, count);
    default:
      return;
  }
}

}  // namespace moe::comm
