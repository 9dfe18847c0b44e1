/// Random numbers by index, in bulk: element i of a tensor always draws the same number, and reading
/// consecutive ones is cheap.
#pragma once

#include <array>
#include <cstdint>

#include "base/random.h"

namespace moe::growth {

/// Pairs of numbers from one block of random bits each; the last pair is remembered.
/// @det a function of (random, index) alone
/// @thread one at a time; copies are independent
/// @invariant one object draws normal or uniform numbers, not both
class KeyedDraws {
 public:
  explicit KeyedDraws(const Random& random) : random_(random) {}

  /// Standard normal number `index`: Box-Muller in f32, so at most 6.66 in magnitude.
  double normal(std::uint64_t index);
  /// Uniform in [-1, 1), a multiple of 2^-31.
  double uniform(std::uint64_t index);

 private:
  Random random_;
  std::uint64_t pair_ = ~std::uint64_t{0};
  std::array<double, 2> values_{};
};

}  // namespace moe::growth
