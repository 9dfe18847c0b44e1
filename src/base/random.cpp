#include "base/random.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "base/every_width.h"

namespace moe {

namespace {

/// As many counters as there are lanes, number by number, so that they share vector instructions.
template <std::size_t kLanes>
using Counters = std::array<std::array<std::uint32_t, kLanes>, 4>;

/// Philox4x32-10 of each lane, in place.
template <std::size_t kLanes>
inline void mix_lanes(Counters<kLanes>& counter, std::array<std::uint32_t, 2> key) {
  constexpr std::uint64_t kMultiplier0 = 0xD2511F53;
  constexpr std::uint64_t kMultiplier1 = 0xCD9E8D57;
  for (int round = 0; round < 10; ++round) {
    for (std::size_t i = 0; i < kLanes; ++i) {
      const std::uint64_t product0 = kMultiplier0 * counter[0][i];
      const std::uint64_t product1 = kMultiplier1 * counter[2][i];
      counter[0][i] = static_cast<std::uint32_t>(product1 >> 32) ^ counter[1][i] ^ key[0];
      counter[2][i] = static_cast<std::uint32_t>(product0 >> 32) ^ counter[3][i] ^ key[1];
      counter[1][i] = static_cast<std::uint32_t>(product1);
      counter[3][i] = static_cast<std::uint32_t>(product0);
    }
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
}

}  // namespace

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key) noexcept {
  Counters<1> one{{{counter[0]}, {counter[1]}, {counter[2]}, {counter[3]}}};
  mix_lanes(one, key);
  return {one[0][0], one[1][0], one[2][0], one[3][0]};
}

std::uint64_t hash_name(std::string_view name) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char letter : name) {
    hash ^= static_cast<unsigned char>(letter);
    hash *= 0x100000001b3ULL;
  }
  return hash;
}

namespace {

__extension__ using Wide = unsigned __int128;

std::array<std::uint32_t, 2> halves(std::uint64_t value) {
  return {static_cast<std::uint32_t>(value), static_cast<std::uint32_t>(value >> 32)};
}

double unit_interval(std::uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1.0p-53; }

}  // namespace

Random::Random(std::uint64_t seed, std::string_view stream) noexcept
    : key_(halves(seed)), stream_(halves(hash_name(stream))) {}

std::array<std::uint32_t, 4> Random::block(std::uint64_t index) const noexcept {
  const auto [low, high] = halves(index);
  return philox({low, high, stream_[0], stream_[1]}, key_);
}

namespace {

constexpr std::size_t kLanes = 16;

/// `count` numbers, a multiple of 4 * kLanes.
MOE_EVERY_WIDTH void fill_lanes(std::uint64_t first, std::array<std::uint32_t, 2> key,
                                std::array<std::uint32_t, 2> stream, std::uint32_t* out, std::size_t count) {
  for (std::size_t at = 0; at < count; at += 4 * kLanes, first += kLanes) {
    Counters<kLanes> counter{};
    for (std::size_t i = 0; i < kLanes; ++i) {
      counter[0][i] = static_cast<std::uint32_t>(first + i);
      counter[1][i] = static_cast<std::uint32_t>((first + i) >> 32);
      counter[2][i] = stream[0];
      counter[3][i] = stream[1];
    }
    mix_lanes(counter, key);
    for (std::size_t i = 0; i < kLanes; ++i) {
      for (std::size_t j = 0; j < 4; ++j) out[at + 4 * i + j] = counter[j][i];
    }
  }
}

}  // namespace

void Random::blocks(std::uint64_t first, std::span<std::uint32_t> out) const noexcept {
  const std::size_t bulk = out.size() / (4 * kLanes) * (4 * kLanes);
  fill_lanes(first, key_, stream_, out.data(), bulk);
  first += bulk / 4;
  for (std::size_t at = bulk; at < out.size(); at += 4, ++first) {
    const auto drawn = block(first);
    std::copy(drawn.begin(), drawn.end(), out.begin() + static_cast<std::ptrdiff_t>(at));
  }
}

std::uint64_t Random::bits(std::uint64_t index) const noexcept {
  const auto drawn = block(index);
  return (static_cast<std::uint64_t>(drawn[1]) << 32) | drawn[0];
}

double Random::uniform(std::uint64_t index) const noexcept { return unit_interval(bits(index)); }

double Random::normal(std::uint64_t index) const noexcept {
  const auto drawn = block(index);
  const std::uint64_t first = (static_cast<std::uint64_t>(drawn[1]) << 32) | drawn[0];
  const std::uint64_t second = (static_cast<std::uint64_t>(drawn[3]) << 32) | drawn[2];
  // 1 - u lies in (0, 1], so the logarithm is finite.
  const double radius = std::sqrt(-2.0 * std::log(1.0 - unit_interval(first)));
  return radius * std::cos(2.0 * std::numbers::pi * unit_interval(second));
}

std::uint64_t Random::below(std::uint64_t bound, std::uint64_t index) const noexcept {
  return static_cast<std::uint64_t>((static_cast<Wide>(bits(index)) * bound) >> 64);
}

std::uint64_t permuted_index(std::uint64_t size, std::uint64_t index,
                             const Random& random) noexcept {
  if (size <= 1) return index;
  // A balanced Feistel network on the next even number of bits, walked until it lands inside.
  const int half_bits = (std::bit_width(size - 1) + 1) / 2;
  const std::uint64_t mask = (std::uint64_t{1} << half_bits) - 1;
  do {
    std::uint64_t left = index >> half_bits;
    std::uint64_t right = index & mask;
    for (std::uint64_t round = 0; round < 6; ++round) {
      const std::uint64_t mixed = random.bits((round << 56) ^ right) & mask;
      const std::uint64_t next = left ^ mixed;
      left = right;
      right = next;
    }
    index = (left << half_bits) | right;
  } while (index >= size);
  return index;
}

}  // namespace moe
