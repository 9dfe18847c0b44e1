#include "growth/keyed_draws.h"

#include <cmath>
#include <numbers>

namespace moe::growth {

double KeyedDraws::normal(std::uint64_t index) {
  if (index / 2 != pair_) {
    pair_ = index / 2;
    const std::uint64_t bits = random_.bits(pair_);
    // (a + 1) / 2^32 lies in (0, 1], so the logarithm is finite.
    const float first = (static_cast<float>(static_cast<std::uint32_t>(bits)) + 1.0F) * 0x1p-32F;
    const float second = static_cast<float>(static_cast<std::uint32_t>(bits >> 32)) * 0x1p-32F;
    const float radius = std::sqrt(-2.0F * std::log(first > 1.0F ? 1.0F : first));
    const float angle = 2.0F * std::numbers::pi_v<float> * second;
    values_ = {static_cast<double>(radius * std::cos(angle)),
               static_cast<double>(radius * std::sin(angle))};
  }
  return values_[index % 2];
}

double KeyedDraws::uniform(std::uint64_t index) {
  if (index / 2 != pair_) {
    pair_ = index / 2;
    const std::uint64_t bits = random_.bits(pair_);
    const auto scaled = [](std::uint64_t half) {
      return static_cast<double>(static_cast<std::int32_t>(static_cast<std::uint32_t>(half))) *
             0x1p-31;
    };
    values_ = {scaled(bits), scaled(bits >> 32)};
  }
  return values_[index % 2];
}

}  // namespace moe::growth
