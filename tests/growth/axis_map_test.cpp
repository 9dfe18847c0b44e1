#include "growth/axis_map.h"

#include <gtest/gtest.h>

#include <vector>

namespace moe::growth {
namespace {

using Indices = std::vector<std::int64_t>;

TEST(AxisMap, CircularCopiesCountTheirSources) {
  const AxisMap map = circular_map(3, 7);
  EXPECT_EQ(map.from, (Indices{0, 1, 2, 0, 1, 2, 0}));
  EXPECT_EQ(map.copies, (Indices{3, 2, 2}));
  EXPECT_EQ(map.fresh, (std::vector<bool>{false, false, false, true, true, true, true}));
  EXPECT_FALSE(map.is_even());
  EXPECT_TRUE(circular_map(3, 6).is_even());
  EXPECT_TRUE(circular_map(3, 3).is_identity());
  EXPECT_TRUE(circular_map(1, 1).is_identity());
  EXPECT_FALSE(circular_map(1, 2).is_identity());
}

TEST(AxisMap, WholeCopiesLeaveTheRestEmpty) {
  const AxisMap map = whole_copies_map(3, 8);
  EXPECT_EQ(map.from, (Indices{0, 1, 2, 0, 1, 2, kNowhere, kNowhere}));
  EXPECT_EQ(map.copies, (Indices{2, 2, 2}));
  EXPECT_FALSE(map.is_even());
  EXPECT_TRUE(whole_copies_map(3, 6).is_even());
  EXPECT_FALSE(whole_copies_map(3, 4).is_identity());
}

TEST(AxisMap, BlocksKeepTheirOrder) {
  const AxisMap map = in_blocks(circular_map(2, 3), 2);
  EXPECT_EQ(map.from, (Indices{0, 1, 2, 3, 0, 1}));
  EXPECT_EQ(map.copies, (Indices{2, 2, 1, 1}));
  EXPECT_EQ(map.source, 4);
}

TEST(HeadMaps, AquilaGrowsFourHeadsToFiveInsideEightGroups) {
  const HeadMaps maps = head_maps({32, 8}, {40, 8});
  EXPECT_TRUE(maps.key_value.is_identity());
  EXPECT_EQ(Indices(maps.query.from.begin(), maps.query.from.begin() + 10),
            (Indices{0, 1, 2, 3, 0, 4, 5, 6, 7, 4}));
}

struct HeadRow {
  HeadCounts source, result;
};

class HeadMapRows : public ::testing::TestWithParam<HeadRow> {};

TEST_P(HeadMapRows, EveryQueryHeadSitsBesideACopyOfItsKeys) {
  const auto [source, result] = GetParam();
  ASSERT_TRUE(can_grow_heads(source, result));
  const HeadMaps maps = head_maps(source, result);
  ASSERT_EQ(maps.query.size(), result.query);
  ASSERT_EQ(maps.key_value.size(), result.key_value);
  for (std::int64_t h = 0; h < result.query; ++h) {
    const std::int64_t original = maps.query.from[static_cast<std::size_t>(h)];
    EXPECT_EQ(maps.key_value.from[static_cast<std::size_t>(h / result.group())],
              original / source.group());
  }
}

INSTANTIATE_TEST_SUITE_P(Ratios, HeadMapRows,
                         ::testing::Values(HeadRow{{4, 2}, {8, 2}}, HeadRow{{4, 2}, {6, 2}},
                                           HeadRow{{4, 4}, {6, 6}}, HeadRow{{4, 4}, {8, 4}},
                                           HeadRow{{4, 2}, {6, 3}}, HeadRow{{4, 2}, {4, 4}},
                                           HeadRow{{4, 1}, {5, 1}}, HeadRow{{4, 1}, {12, 3}},
                                           HeadRow{{6, 2}, {6, 6}}, HeadRow{{6, 2}, {12, 4}},
                                           HeadRow{{6, 3}, {20, 5}}, HeadRow{{1, 1}, {1, 1}},
                                           HeadRow{{1, 1}, {7, 7}}));

TEST(HeadMaps, SomeRatiosWouldLoseHeads) {
  EXPECT_FALSE(can_grow_heads({8, 2}, {9, 3}));    // the lone copy of group 1 serves 3 of 4 heads
  EXPECT_TRUE(can_grow_heads({8, 2}, {12, 3}));
  EXPECT_TRUE(can_grow_heads({8, 2}, {8, 4}));     // two copies of a group serve two heads each
}

}  // namespace
}  // namespace moe::growth
