/// Random numbers by index, in bulk: element i of a tensor always draws the same number, and reading
/// consecutive ones is cheap.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/random.h"

namespace moe::growth {

/// Four numbers share one block of random bits; the last block is remembered.
/// @det a function of (random, index) alone, the same bits one by one and in bulk, on any processor
/// @thread one at a time; copies are independent, and `normals` needs none
/// @invariant one object draws normal or uniform numbers, not both
class KeyedDraws {
 public:
  explicit KeyedDraws(const Random& random) : random_(random) {}

  /// Standard normal number `index`: Box-Muller in f32 on 24 and 32 bits, so at most 5.77 in magnitude.
  float normal(std::uint64_t index);
  /// Uniform in [-1, 1), a multiple of 2^-31.
  double uniform(std::uint64_t index);
  /// out[i] = normal(first + i). @cost some ten nanoseconds a block of 16
  void normals(std::uint64_t first, std::span<float> out) const;

 private:
  Random random_;
  std::uint64_t block_ = ~std::uint64_t{0};
  std::array<double, 4> values_{};
};

}  // namespace moe::growth
