#include "growth/linear_assignment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/random.h"

namespace moe::growth {
namespace {

double value_of(const std::vector<float>& similarity, const std::vector<std::int32_t>& columns) {
  double sum = 0;
  for (std::size_t row = 0; row < columns.size(); ++row) {
    sum += similarity[row * columns.size() + static_cast<std::size_t>(columns[row])];
  }
  return sum;
}

double best_by_trying_all(const std::vector<float>& similarity, std::int64_t n) {
  std::vector<std::int32_t> columns(static_cast<std::size_t>(n));
  std::iota(columns.begin(), columns.end(), 0);
  double best = value_of(similarity, columns);
  while (std::ranges::next_permutation(columns).found) {
    best = std::max(best, value_of(similarity, columns));
  }
  return best;
}

bool is_permutation(std::vector<std::int32_t> columns) {
  std::ranges::sort(columns);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (columns[i] != static_cast<std::int32_t>(i)) return false;
  }
  return true;
}

TEST(LinearAssignment, FindsTheBestOfAllPermutations) {
  for (std::int64_t n = 1; n <= 7; ++n) {
    for (std::uint64_t draw = 0; draw < 60; ++draw) {
      const Random random(draw, "similarity");
      std::vector<float> similarity(static_cast<std::size_t>(n * n));
      for (std::size_t i = 0; i < similarity.size(); ++i) {
        // Small integers, so that sums are exact and ties are common; some rows prefer one column.
        similarity[i] = static_cast<float>(random.below(draw % 2 == 0 ? 4 : 1000, i));
        if (draw % 3 == 0 && i % static_cast<std::size_t>(n) == 0) similarity[i] += 50;
      }
      const auto found = best_assignment(similarity, n);
      ASSERT_TRUE(is_permutation(found));
      EXPECT_EQ(value_of(similarity, found), best_by_trying_all(similarity, n))
          << "n " << n << " draw " << draw;
    }
  }
}

TEST(LinearAssignment, EmptyIsEmpty) { EXPECT_TRUE(best_assignment({}, 0).empty()); }

TEST(LinearAssignment, PrefersTheIdentityAmongEquals) {
  const std::vector<float> equal(25, 1.0F);
  const auto found = best_assignment(equal, 5);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(found[i], static_cast<std::int32_t>(i));
}

TEST(LinearAssignment, AllRowsWantingTheSameColumnIsNoTrap) {
  const std::int64_t n = 120;
  const Random random(3, "crowd");
  std::vector<float> similarity(static_cast<std::size_t>(n * n));
  for (std::size_t i = 0; i < similarity.size(); ++i) {
    similarity[i] = static_cast<float>(random.uniform(i)) + (i % 120 == 7 ? 10.0F : 0.0F);
  }
  const auto found = best_assignment(similarity, n);
  EXPECT_TRUE(is_permutation(found));
  // No exchange of two improves it.
  for (std::size_t a = 0; a < 120; ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      const auto at = [&](std::size_t row, std::size_t column) {
        return static_cast<double>(similarity[row * 120 + static_cast<std::size_t>(found[column])]);
      };
      EXPECT_GE(at(a, a) + at(b, b), (at(a, b) + at(b, a)) * (1 - std::numeric_limits<float>::epsilon()));
    }
  }
}

}  // namespace
}  // namespace moe::growth
