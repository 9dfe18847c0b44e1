/// Counter-based random numbers: a value depends on its key and index only, never on a sequence of
/// calls, so every sharding and every order of evaluation draws the same numbers.
/// @paper Salmon 2011, "Parallel random numbers: as easy as 1, 2, 3" (Philox4x32-10)
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace moe {

/// One Philox4x32-10 block.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key) noexcept;

/// A family of independent streams; `Random(seed, "layers.3.router")` is one of them.
class Random {
 public:
  Random(std::uint64_t seed, std::string_view stream) noexcept;

  /// 64 random bits for `index`. @det yes
  std::uint64_t bits(std::uint64_t index) const noexcept;
  /// Four draws of 32 bits for `index`, at the price of one. @det yes
  std::array<std::uint32_t, 4> block(std::uint64_t index) const noexcept;
  /// Uniform in [0, 1), 53 bits. @det yes
  double uniform(std::uint64_t index) const noexcept;
  /// Standard normal (Box-Muller on one block of its own). @det yes
  double normal(std::uint64_t index) const noexcept;
  /// Uniform in [0, bound), bound >= 1, without modulo bias beyond 2^-64.
  std::uint64_t below(std::uint64_t bound, std::uint64_t index) const noexcept;

 private:
  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 2> stream_;
};

/// FNV-1a of a name, 64 bits: how names become stream ids.
std::uint64_t hash_name(std::string_view name) noexcept;

/// A bijection on [0, size) keyed by (seed, stream): element `index` of a random order, in O(1) memory.
/// @det yes  @cost a few Philox blocks
std::uint64_t permuted_index(std::uint64_t size, std::uint64_t index, const Random& random) noexcept;

}  // namespace moe
