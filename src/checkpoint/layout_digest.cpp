#include "checkpoint/layout_digest.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "base/check.h"
#include "checkpoint/tensor_source.h"

namespace moe::checkpoint {
namespace {

constexpr std::uint64_t kIndexFactor = 0x9e3779b97f4a7c15ULL;
constexpr std::uint64_t kBitsFactor = 0xd6e8feb86659fd93ULL;

/// The finaliser of SplitMix64, variant 13 of Stafford.
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

#if defined(__x86_64__)

constexpr std::int64_t kLanes = 8;
using Lanes = std::uint64_t __attribute__((vector_size(8 * kLanes)));

/// kLanes elements of a type.
template <class Bits>
struct LanesOf;
template <>
struct LanesOf<std::uint8_t> {
  using type = std::uint8_t __attribute__((vector_size(kLanes)));
};
template <>
struct LanesOf<std::uint16_t> {
  using type = std::uint16_t __attribute__((vector_size(2 * kLanes)));
};
template <>
struct LanesOf<std::uint32_t> {
  using type = std::uint32_t __attribute__((vector_size(4 * kLanes)));
};
template <>
struct LanesOf<std::uint64_t> {
  using type = Lanes;
};

bool has_wide_multiply() {
  static const bool has = __builtin_cpu_supports("avx512dq") != 0;
  return has;
}

/// The whole vectors of a run; moves what is given past them. @cost a third of the plain loop's
template <class Bits>
__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))) std::uint64_t digest_vectors(
    const Bits*& bits, std::int64_t& global, std::int64_t& count) {
  Lanes keyed{};
  for (std::int64_t lane = 0; lane < kLanes; ++lane) {
    keyed[lane] = static_cast<std::uint64_t>(global + lane) * kIndexFactor;
  }
  Lanes sum{};
  for (; count >= kLanes; bits += kLanes, global += kLanes, count -= kLanes) {
    typename LanesOf<Bits>::type few;
    std::memcpy(&few, bits, sizeof few);
    Lanes x = keyed + __builtin_convertvector(few, Lanes) * kBitsFactor;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    sum += x ^ (x >> 31);
    keyed += kIndexFactor * kLanes;
  }
  std::uint64_t total = 0;
  for (std::int64_t lane = 0; lane < kLanes; ++lane) total += sum[lane];
  return total;
}

#endif

template <class Bits>
std::uint64_t digest_run(const Bits* bits, std::int64_t global, std::int64_t count) {
  std::uint64_t sum = 0;
#if defined(__x86_64__)
  if (has_wide_multiply()) sum = digest_vectors(bits, global, count);
#endif
  std::uint64_t keyed = static_cast<std::uint64_t>(global) * kIndexFactor;
  for (std::int64_t i = 0; i < count; ++i) {
    sum += mix(keyed + static_cast<std::uint64_t>(bits[i]) * kBitsFactor);
    keyed += kIndexFactor;
  }
  return sum;
}

template <class Bits>
std::uint64_t digest_slice(const Slice& slice, const View& data) {
  std::uint64_t sum = 0;
  const Bits* bits = data.as<Bits>() - slice.flat_begin;
  for_each_run(slice, [&](std::int64_t global, std::int64_t box, std::int64_t count) {
    sum += digest_run(bits + box, global, count);
  });
  return sum;
}

constexpr std::int64_t kWindowBytes = std::int64_t{8} << 20;

}  // namespace

std::uint64_t layout_digest(const Slice& slice, const View& data) {
  MOE_CHECK_EQ(slice.numel(), data.numel());
  if (slice.numel() == 0) return 0;
  switch (size_of(data.dtype)) {
    case 1:
      return digest_slice<std::uint8_t>(slice, data);
    case 2:
      return digest_slice<std::uint16_t>(slice, data);
    case 4:
      return digest_slice<std::uint32_t>(slice, data);
    default:
      return digest_slice<std::uint64_t>(slice, data);
  }
}

std::uint64_t layout_digest(const TensorSource& source, const std::string& name) {
  const TensorInfo& info = source.info(name);
  const std::int64_t total = info.shape.numel();
  const std::int64_t step = kWindowBytes / size_of(info.dtype);
  std::vector<std::byte> window(
      static_cast<std::size_t>(std::min(total, step) * size_of(info.dtype)));
  std::uint64_t sum = 0;
  for (std::int64_t at = 0; at < total; at += step) {
    Slice part = whole(info.shape);
    part.flat_begin = at;
    part.flat_end = std::min(total, at + step);
    const View view = flat_view(window.data(), info.dtype, part.numel());
    source.read(name, part, view);
    sum += layout_digest(part, view);
  }
  return sum;
}

}  // namespace moe::checkpoint
