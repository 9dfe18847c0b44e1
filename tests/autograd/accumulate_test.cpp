#include "autograd/accumulate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <iterator>
#include <limits>
#include <type_traits>

#include "base/error.h"
#include "support/context_test.h"

namespace moe {
namespace {

class AccumulateTest : public testing::ContextTest {};

constexpr float kInfinity = std::numeric_limits<float>::infinity();
// Ties, both ways; a sum that overflows; what stays; NaN; and zeros of both signs.
constexpr float kTerms[][2] = {{1.0F, 0x1p-8F},          {1.0F, 0x3p-8F}, {1.0F, 0x1.8p-8F}, {-1.0F, -0x1p-8F}, {0x1.fep127F, 0x1.fep127F},
                               {kInfinity, -1.0F},       {kInfinity, -kInfinity}, {0.0F, -0.0F}, {-0.0F, -0.0F},
                               {0x1p-130F, 0x1p-133F},   {3.0F, -3.0F},  {std::numeric_limits<float>::quiet_NaN(), 1.0F}};

template <class T>
void expect_sums(std::int64_t count) {
  Tensor target = Tensor::empty({count}, dtype_of<T>);
  Tensor source = Tensor::empty({count}, dtype_of<T>);
  const auto term = [](std::int64_t i) { return kTerms[i % static_cast<std::int64_t>(std::size(kTerms))]; };
  for (std::int64_t i = 0; i < count; ++i) {
    target.view().as<T>()[i] = static_cast<T>(term(i)[0]);
    source.view().as<T>()[i] = static_cast<T>(term(i)[1]);
  }
  add_into(target, source);
  for (std::int64_t i = 0; i < count; ++i) {
    using C = std::conditional_t<std::is_same_v<T, double>, double, float>;
    const auto rounded = [](float x) { return static_cast<C>(static_cast<T>(x)); };
    const auto got = static_cast<C>(target.view().as<const T>()[i]);
    const auto want = static_cast<C>(static_cast<T>(rounded(term(i)[0]) + rounded(term(i)[1])));
    if (std::isnan(want)) {
      EXPECT_TRUE(std::isnan(got)) << i;
    } else {
      EXPECT_EQ(got, want) << i << " of " << count;
      EXPECT_EQ(std::signbit(got), std::signbit(want)) << i << " of " << count;
    }
  }
}

TEST_F(AccumulateTest, RoundsEachSumOnceWhateverStandsBesideIt) {
  for (const std::int64_t count : {0, 1, 7, 33, 100, (1 << 16) + 5}) {
    expect_sums<float>(count);
    expect_sums<double>(count);
    expect_sums<BFloat16>(count);
  }
}

TEST_F(AccumulateTest, RefusesWhatHasNoGradients) {
  const Tensor counts = Tensor::zeros({3}, DType::I32);
  EXPECT_THROW(add_into(counts, counts), DTypeError);
}

}  // namespace
}  // namespace moe
