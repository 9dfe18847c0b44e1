// Buffers with known contents for the tests of the collectives.
#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>
#include <vector>

#include "tensor/shape.h"
#include "tensor/view.h"

namespace moe::testing {

/// Element counts every collective is tried with: none, one, odd, more than one segment per rank.
inline constexpr std::int64_t kCounts[] = {0, 1, 2, 3, 7, 63, 1000, 4099, 100'003};
/// Crosses the segment length of every dtype and world (8 MiB of working memory).
inline constexpr std::int64_t kLongCount = 2'600'003;

template <class T>
View view_of(std::vector<T>& data, std::initializer_list<std::int64_t> dims) {
  View view;
  view.data = data.data();
  view.dtype = dtype_of<T>;
  view.rank = static_cast<int>(dims.size());
  std::int64_t stride = 1;
  for (std::size_t dim = dims.size(); dim-- > 0;) {
    view.dims[dim] = dims.begin()[dim];
    view.strides[dim] = stride;
    stride *= dims.begin()[dim];
  }
  return view;
}

template <class T>
View view_of(std::vector<T>& data) {
  return view_of(data, {static_cast<std::int64_t>(data.size())});
}

/// A value that differs by rank and index, over many magnitudes: sums in another order have other
/// bits.
template <class T>
T value_of(int rank, std::int64_t index) {
  std::uint64_t x = static_cast<std::uint64_t>(index) * 0x9E3779B97F4A7C15U +
                    static_cast<std::uint64_t>(rank + 1) * 0xBF58476D1CE4E5B9U;
  x ^= x >> 31;
  x *= 0x94D049BB133111EBU;
  x ^= x >> 29;
  if constexpr (std::is_floating_point_v<T>) {
    const T fraction = static_cast<T>(x >> 40) / static_cast<T>(1 << 24) - T(0.5);
    return fraction * static_cast<T>(1 << (x % 20));
  } else {
    return static_cast<T>(x);
  }
}

template <class T>
std::vector<T> values(int rank, std::int64_t count, std::int64_t first = 0) {
  std::vector<T> data(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    data[static_cast<std::size_t>(i)] = value_of<T>(rank, first + i);
  }
  return data;
}

/// Bitwise: NaN equals the same NaN, and -0 differs from 0.
template <class T>
bool same_bits(std::span<const T> a, std::span<const T> b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}
template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return same_bits(std::span<const T>(a), std::span<const T>(b));
}

/// The sum a single loop in rank order gives.
template <class T>
std::vector<T> serial_sum(int ranks, std::int64_t count, std::int64_t first = 0) {
  std::vector<T> sum = values<T>(0, count, first);
  for (int rank = 1; rank < ranks; ++rank) {
    for (std::int64_t i = 0; i < count; ++i) {
      T& at = sum[static_cast<std::size_t>(i)];
      const T next = value_of<T>(rank, first + i);
      if constexpr (std::is_integral_v<T>) {
        at = static_cast<T>(static_cast<std::make_unsigned_t<T>>(at) +
                            static_cast<std::make_unsigned_t<T>>(next));
      } else {
        at = at + next;
      }
    }
  }
  return sum;
}

}  // namespace moe::testing
