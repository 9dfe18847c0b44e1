#include "checkpoint/fletcher32.h"

#include <cstring>

#include "base/every_width.h"

namespace moe::checkpoint {
namespace {

constexpr std::size_t kLanes = 8;
constexpr std::size_t kRows = 256;  // of lanes in a block: sums of sums stay below 2^32
constexpr std::size_t kBlockBytes = 2 * kLanes * kRows;
constexpr std::uint64_t kModulus = 65535;

using Words = std::uint16_t __attribute__((vector_size(2 * kLanes)));
using Sums = std::uint32_t __attribute__((vector_size(4 * kLanes)));

/// The sums over a block of words in lanes, and the sums of these sums.
struct BlockSums {
  Sums a{};
  Sums b{};
};

MOE_EVERY_WIDTH void sum_block(const std::byte* data, BlockSums& sums) {
  for (std::size_t row = 0; row < kRows; ++row, data += sizeof(Words)) {
    Words words;
    std::memcpy(&words, data, sizeof words);
    words = words << 8 | words >> 8;
    sums.a += __builtin_convertvector(words, Sums);
    sums.b += sums.a;
  }
}

/// The two running sums, exact as long as there are fewer than 2^31 words between reductions.
struct Fletcher {
  std::uint64_t first = 0;   // of the words
  std::uint64_t second = 0;  // of the first sums

  void add(std::uint64_t word) {
    first += word;
    second += first;
  }

  /// Lane l of row r holds word r * kLanes + l, so that its weight in the block's second sum is
  /// kLanes * (kRows - r) - l.
  void add_block(const std::byte* data) {
    BlockSums block;
    sum_block(data, block);
    const auto& [a, b] = block;
    second += first * (kLanes * kRows);
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      first += a[lane];
      second += kLanes * std::uint64_t{b[lane]} - lane * std::uint64_t{a[lane]};
    }
    reduce();
  }

  void reduce() {
    first = folded(first);
    second = folded(second);
  }

  /// Modulo 65535 as folding carries does it: only zero itself becomes zero.
  static std::uint64_t folded(std::uint64_t sum) {
    return sum == 0 ? 0 : (sum - 1) % kModulus + 1;
  }
};

}  // namespace

std::uint32_t fletcher32(std::span<const std::byte> bytes) {
  Fletcher sums;
  for (; bytes.size() >= kBlockBytes; bytes = bytes.subspan(kBlockBytes)) {
    sums.add_block(bytes.data());
  }
  const auto at = [&](std::size_t i) { return std::to_integer<std::uint64_t>(bytes[i]); };
  std::size_t i = 0;
  for (; i + 1 < bytes.size(); i += 2) sums.add(at(i) << 8 | at(i + 1));
  if (i < bytes.size()) sums.add(at(i) << 8);
  sums.reduce();
  return static_cast<std::uint32_t>(sums.second << 16 | sums.first);
}

}  // namespace moe::checkpoint
