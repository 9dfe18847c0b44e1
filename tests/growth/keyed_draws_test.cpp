#include "growth/keyed_draws.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "support/tolerance.h"

namespace moe::growth {
namespace {

constexpr std::uint64_t kMany = 200'000;

TEST(KeyedDraws, DependOnTheIndexAlone) {
  KeyedDraws forward(Random(1, "a"));
  std::vector<double> values;
  for (std::uint64_t i = 0; i < 50; ++i) values.push_back(forward.normal(i));
  KeyedDraws backward(Random(1, "a"));
  for (std::uint64_t i = 50; i-- > 0;) EXPECT_EQ(backward.normal(i), values[i]);
  KeyedDraws other(Random(1, "b"));
  EXPECT_NE(other.normal(3), values[3]);
}

TEST(KeyedDraws, NormalMoments) {
  KeyedDraws draws(Random(5, "normal"));
  double sum[4] = {};
  double neighbours = 0;
  double before = 0;
  for (std::uint64_t i = 0; i < kMany; ++i) {
    const double z = draws.normal(i);
    ASSERT_TRUE(std::isfinite(z));
    for (int power = 0; power < 4; ++power) sum[power] += std::pow(z, power + 1);
    neighbours += z * before;
    before = z;
  }
  const double n = static_cast<double>(kMany);
  // Variances of z, z^2, z^3, z^4: 1, 2, 15, 96.
  EXPECT_NEAR(sum[0] / n, 0, 4 / std::sqrt(n));
  EXPECT_NEAR(sum[1] / n, 1, 4 * std::sqrt(2 / n));
  EXPECT_NEAR(sum[2] / n, 0, 4 * std::sqrt(15 / n));
  EXPECT_NEAR(sum[3] / n, 3, 4 * std::sqrt(96 / n));
  EXPECT_NEAR(neighbours / n, 0, 4 / std::sqrt(n));
}

TEST(KeyedDraws, UniformFillsItsInterval) {
  KeyedDraws draws(Random(5, "uniform"));
  double sum = 0;
  double squares = 0;
  for (std::uint64_t i = 0; i < kMany; ++i) {
    const double u = draws.uniform(i);
    ASSERT_GE(u, -1);
    ASSERT_LT(u, 1);
    sum += u;
    squares += u * u;
  }
  const double n = static_cast<double>(kMany);
  EXPECT_NEAR(sum / n, 0, 4 / std::sqrt(3 * n));
  EXPECT_NEAR(squares / n, 1.0 / 3, 4 * std::sqrt(4.0 / 45 / n));
}

}  // namespace
}  // namespace moe::growth
