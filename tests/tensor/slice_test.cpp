#include "tensor/slice.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/error.h"

namespace moe {
namespace {

TEST(Slice, TilesExpertWeightOverTensorExpertAndShardExactlyOnce) {
  const Shape global{4, 2, 6, 5};
  Placement placement;
  placement.split(0, Role::Expert).split(2, Role::Hidden);
  std::vector<int> covered(static_cast<std::size_t>(global.numel()), 0);
  for (std::int64_t tensor = 0; tensor < 2; ++tensor) {
    for (std::int64_t expert = 0; expert < 2; ++expert) {
      for (std::int64_t part = 0; part < 2; ++part) {
        RoleShares shares;
        shares[Role::Hidden] = {2, tensor};
        shares[Role::Expert] = {2, expert};
        const Slice slice = shard(place("w", global, placement, shares), 2, part);
        std::int64_t counted = 0;
        for_each_run(slice, [&](std::int64_t at, std::int64_t box, std::int64_t count) {
          for (std::int64_t i = 0; i < count; ++i) {
            EXPECT_EQ(at + i, global_index(slice, box + i));
            ++covered[static_cast<std::size_t>(at + i)];
          }
          counted += count;
        });
        EXPECT_EQ(counted, slice.numel());
      }
    }
  }
  for (const int times : covered) EXPECT_EQ(times, 1);
}

TEST(Slice, RefusesASizeThatDoesNotDivide) {
  RoleShares shares;
  shares[Role::Expert] = {3, 0};
  EXPECT_THROW(place("experts", Shape{4, 2}, Placement().split(0, Role::Expert), shares),
               ConfigError);
}

TEST(Slice, ShardsSmallerThanTheRankCountAreEmptyAtTheEnd) {
  const Slice slice = whole(Shape{3});
  EXPECT_EQ(shard(slice, 4, 0, 2).numel(), 2);
  EXPECT_EQ(shard(slice, 4, 1, 2).numel(), 1);
  EXPECT_EQ(shard(slice, 4, 3, 2).numel(), 0);
}

}  // namespace
}  // namespace moe
