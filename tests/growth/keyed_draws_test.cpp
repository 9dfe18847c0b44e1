#include "growth/keyed_draws.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "support/tolerance.h"

namespace moe::growth {
namespace {

constexpr std::uint64_t kMany = 200'000;

TEST(KeyedDraws, DependOnTheIndexAlone) {
  KeyedDraws forward(Random(1, "a"));
  std::vector<float> values;
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
    const double z = static_cast<double>(draws.normal(i));
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

TEST(KeyedDraws, InBulkTheyAreTheSameBits) {
  for (const std::uint64_t first : {0U, 1U, 2U, 3U, 255U, 256U, 1'000'003U}) {
    for (const std::size_t count : {1U, 2U, 5U, 256U, 257U, 1000U}) {
      KeyedDraws one_by_one(Random(3, "bulk"));
      std::vector<float> drawn(count);
      one_by_one.normals(first, drawn);
      for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(drawn[i], one_by_one.normal(first + i)) << first << " + " << i;
    }
  }
}

/// Against the library's functions, whose errors are far below f32's.
TEST(KeyedDraws, NormalsAreBoxAndMullers) {
  const Random random(7, "exact");
  std::vector<float> drawn(4096);
  KeyedDraws(random).normals(0, drawn);
  for (std::size_t i = 0; i < drawn.size(); i += 2) {
    const auto words = random.block(i / 4);
    const double radius = std::sqrt(-2.0 * std::log((static_cast<double>(words[i % 4] >> 8) + 1.0) * 0x1p-24));
    const double angle = 2.0 * std::numbers::pi * static_cast<double>(words[i % 4 + 1]) * 0x1p-32;
    // Some roundings of f32, of numbers up to the radius and, under the root, of one near zero.
    const double bound = 32 * 0x1p-24 * std::max(radius, 1.0);
    ASSERT_NEAR(drawn[i], radius * std::cos(angle), bound) << i;
    ASSERT_NEAR(drawn[i + 1], radius * std::sin(angle), bound) << i;
  }
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
