#include "checkpoint/layout_digest.h"

#include <algorithm>
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

template <class Bits>
std::uint64_t digest_run(const Bits* bits, std::int64_t global, std::int64_t count) {
  std::uint64_t sum = 0;
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
