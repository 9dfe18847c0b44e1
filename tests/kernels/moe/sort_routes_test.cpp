#include "kernels/moe/sort_routes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "base/error.h"
#include "kernels/everywhere.h"

namespace moe::kernels {
namespace {

using testing::Array;
using testing::everywhere;

struct Case {
  std::int64_t tokens;
  std::int64_t choices;
  std::int64_t experts;
};
const std::vector<Case> kCases = {{0, 2, 4},   {1, 1, 1},     {5, 2, 8},
                                  {3, 3, 100}, {5000, 8, 64}, {20000, 2, 7}};

Array random_experts(const Case& c, std::int64_t lowest, std::uint64_t seed) {
  Array expert(DType::I32, {c.tokens, c.choices});
  std::mt19937_64 generator(seed);
  std::uniform_int_distribution<std::int64_t> draw(lowest, c.experts - 1);
  for (std::int64_t i = 0; i < expert.size(); ++i) {
    expert.set(i, static_cast<double>(draw(generator)));
  }
  return expert;
}

void check_sort(const Case& c, const Array& expert) {
  std::vector<std::int64_t> offset{0};
  std::vector<std::int64_t> route;
  for (std::int64_t e = 0; e < c.experts; ++e) {
    for (std::int64_t i = 0; i < expert.size(); ++i) {
      if (static_cast<std::int64_t>(expert[i]) == e) route.push_back(i);
    }
    offset.push_back(static_cast<std::int64_t>(route.size()));
  }
  everywhere(
      std::to_string(c.tokens) + " tokens",
      [&](Stream& stream) {
        Array got_offset(DType::I32, {c.experts + 1});
        Array got_route(DType::I32, {c.tokens * c.choices});
        Array row(DType::I32, {c.tokens, c.choices});
        sort_routes(stream, {expert.view(), got_offset.view(), got_route.view(), row.view()});
        return std::vector<Array>{got_offset, got_route, row};
      },
      [&](const std::vector<Array>& out) {
        for (std::size_t e = 0; e < offset.size(); ++e) {
          ASSERT_EQ(out[0][static_cast<std::int64_t>(e)], offset[e]);
        }
        std::vector<std::int64_t> row(static_cast<std::size_t>(expert.size()), -1);
        for (std::size_t r = 0; r < route.size(); ++r) {
          ASSERT_EQ(out[1][static_cast<std::int64_t>(r)], route[r]);
          row[static_cast<std::size_t>(route[r])] = static_cast<std::int64_t>(r);
        }
        for (std::size_t i = 0; i < row.size(); ++i) {
          ASSERT_EQ(out[2][static_cast<std::int64_t>(i)], row[i]);
        }
      });
}

TEST(SortRoutes, GroupsRoutesByExpertInOrder) {
  for (const Case& c : kCases) {
    check_sort(c, random_experts(c, 0, 1));
    check_sort(c, random_experts(c, -1, 2));
  }
}

TEST(SortRoutes, TakesAllRoutesToOneExpertAndNone) {
  const Case c{300, 4, 5};
  Array expert(DType::I32, {c.tokens, c.choices});
  expert.fill(3);
  check_sort(c, expert);
  expert.fill(-1);
  check_sort(c, expert);
}

TEST(SortRoutes, RefusesExpertsOutOfRange) {
  Stream stream(1, CpuIsa::Avx2);
  for (const double bad : {4.0, -2.0}) {
    const Array expert = Array::of(DType::I32, {2, 1}, {0, bad});
    const Array offset(DType::I32, {5});
    const Array route(DType::I32, {2});
    EXPECT_THROW(sort_routes(stream, {expert.view(), offset.view(), route.view(), route.view()}),
                 ShapeError);
  }
}

/// The rule itself: routes in order of admission, the first `capacity` of each expert stay.
Array limited(const Array& expert, const std::vector<std::int64_t>& order, const Case& c,
              std::int64_t capacity) {
  Array out = expert;
  std::vector<std::int64_t> taken(static_cast<std::size_t>(c.experts), 0);
  for (const std::int64_t route : order) {
    const auto e = static_cast<std::int64_t>(expert[route]);
    if (e >= 0 && taken[static_cast<std::size_t>(e)]++ >= capacity) out.set(route, -1);
  }
  return out;
}

TEST(LimitCapacity, AdmitsFirstChoicesFirst) {
  for (const Case& c : kCases) {
    const Array expert = random_experts(c, -1, 3);
    std::vector<std::int64_t> order;
    for (std::int64_t k = 0; k < c.choices; ++k) {
      for (std::int64_t t = 0; t < c.tokens; ++t) order.push_back(t * c.choices + k);
    }
    for (const std::int64_t capacity : {std::int64_t{0}, std::int64_t{1}, std::int64_t{100}}) {
      const Array expected = limited(expert, order, c, capacity);
      everywhere(
          "capacity " + std::to_string(capacity),
          [&](Stream& stream) {
            Array got = expert;
            limit_capacity(stream, {got.view(), {}, c.experts, capacity, false});
            return std::vector<Array>{got};
          },
          [&](const std::vector<Array>& out) { EXPECT_TRUE(same_bits(out[0], expected)); });
    }
  }
}

TEST(LimitCapacity, AdmitsLargerWeightsFirst) {
  for (const DType dtype : {DType::F32, DType::F64}) {
    for (const Case& c : kCases) {
      const Array expert = random_experts(c, -1, 4);
      Array weight = Array::random(dtype, {c.tokens, c.choices}, 5);
      std::vector<std::int64_t> order;
      for (std::int64_t i = 0; i < weight.size(); ++i) {
        order.push_back(i);
        if (i % 3 != 0) weight.set(i, std::round(weight[i]));  // many ties, zeros of both signs
      }
      std::stable_sort(order.begin(), order.end(),
                       [&](std::int64_t a, std::int64_t b) { return weight[a] > weight[b]; });
      for (const std::int64_t capacity : {std::int64_t{0}, std::int64_t{1}, std::int64_t{100}}) {
        const Array expected = limited(expert, order, c, capacity);
        everywhere(
            "capacity " + std::to_string(capacity),
            [&](Stream& stream) {
              Array got = expert;
              limit_capacity(stream, {got.view(), weight.view(), c.experts, capacity, true});
              return std::vector<Array>{got};
            },
            [&](const std::vector<Array>& out) { EXPECT_TRUE(same_bits(out[0], expected)); });
      }
    }
  }
}

TEST(LimitCapacity, PutsNanLast) {
  const Array expert = Array::of(DType::I32, {3, 1}, {0, 0, 0});
  const Array weight = Array::of(DType::F32, {3, 1}, {std::nan(""), -1.0, 0.5});
  Stream stream(1, CpuIsa::Avx2);
  limit_capacity(stream, {expert.view(), weight.view(), 1, 2, true});
  EXPECT_EQ(expert[0], -1);
  EXPECT_EQ(expert[1], 0);
  EXPECT_EQ(expert[2], 0);
}

}  // namespace
}  // namespace moe::kernels
