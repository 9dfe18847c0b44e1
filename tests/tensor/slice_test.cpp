#include "tensor/slice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/random.h"

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

/// One random case: a shape, which of its dims are split, by how much, and how often it is sharded.
struct Tiling {
  Shape global;
  Placement placement;
  std::vector<std::int64_t> parts;  // per role
  std::int64_t shards = 1;
  std::int64_t alignment = 1;
};

Tiling random_tiling(const Random& random) {
  std::uint64_t draw = 0;
  const auto below = [&](std::uint64_t bound) {
    return static_cast<std::int64_t>(random.below(bound, draw++));
  };
  Tiling tiling;
  tiling.parts.assign(5, 1);
  std::vector<std::int64_t> dims(static_cast<std::size_t>(below(5)));
  std::size_t role = 0;
  for (std::size_t dim = 0; dim < dims.size(); ++dim) {
    dims[dim] = below(12) == 0 ? 0 : 1 + below(5);
    if (below(2) == 0 || role == tiling.parts.size()) continue;
    tiling.parts[role] = 1 + below(3);
    dims[dim] *= tiling.parts[role];
    tiling.placement.split(static_cast<int>(dim), static_cast<Role>(role++));
  }
  tiling.global = Shape(std::span<const std::int64_t>(dims));
  tiling.shards = 1 + below(5);
  tiling.alignment = 1 + below(4);
  return tiling;
}

/// Calls `visit` for each combination of role shares.
template <class Visit>
void for_each_share(const Tiling& tiling, Visit&& visit) {
  std::int64_t combinations = 1;
  for (const std::int64_t parts : tiling.parts) combinations *= parts;
  for (std::int64_t combination = 0; combination < combinations; ++combination) {
    RoleShares shares;
    std::int64_t left = combination;
    for (std::size_t role = 0; role < tiling.parts.size(); ++role) {
      shares.of[role] = {tiling.parts[role], left % tiling.parts[role]};
      left /= tiling.parts[role];
    }
    visit(shares);
  }
}

TEST(Slice, RandomPlacementsTileTheirTensorExactlyOnceInMaximalRuns) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    const Tiling tiling = random_tiling(Random(seed, "tiling"));
    SCOPED_TRACE(to_string(tiling.global) + " seed " + std::to_string(seed));
    std::vector<int> covered(static_cast<std::size_t>(tiling.global.numel()), 0);
    for_each_share(tiling, [&](const RoleShares& shares) {
      const Slice box = place("w", tiling.global, tiling.placement, shares);
      EXPECT_TRUE(box.covers_box());
      std::int64_t expected_begin = 0;
      for (std::int64_t part = 0; part < tiling.shards; ++part) {
        const Slice slice = shard(box, tiling.shards, part, tiling.alignment);
        EXPECT_EQ(slice.flat_begin, expected_begin);
        if (slice.flat_end < box.flat_end) {
          EXPECT_EQ(slice.flat_end % tiling.alignment, 0);
        }
        expected_begin = slice.flat_end;
        std::int64_t next_box = slice.flat_begin;
        std::int64_t last_global_end = -1;
        for_each_run(slice, [&](std::int64_t global, std::int64_t flat, std::int64_t count) {
          EXPECT_GT(count, 0);
          EXPECT_EQ(flat, next_box);
          EXPECT_NE(global, last_global_end) << "two runs could have been one";
          for (std::int64_t i = 0; i < count; ++i) {
            EXPECT_EQ(global_index(slice, flat + i), global + i);
            ++covered.at(static_cast<std::size_t>(global + i));
          }
          next_box = flat + count;
          last_global_end = global + count;
        });
        EXPECT_EQ(next_box, slice.flat_end);
      }
      EXPECT_EQ(expected_begin, box.flat_end);
    });
    EXPECT_EQ(std::count(covered.begin(), covered.end(), 1), tiling.global.numel());
  }
}

TEST(Slice, ASliceOfASliceStaysInside) {
  const Slice outer = shard(whole(Shape{10, 10}), 4, 1);
  std::int64_t at = outer.flat_begin;
  for (std::int64_t part = 0; part < 3; ++part) {
    const Slice inner = shard(outer, 3, part);
    EXPECT_EQ(inner.flat_begin, at);
    at = inner.flat_end;
  }
  EXPECT_EQ(at, outer.flat_end);
}

TEST(Slice, AScalarIsHeldWholeByEveryone) {
  const Slice slice = place("scale", Shape{}, Placement::replicated(), {});
  EXPECT_EQ(slice, whole(Shape{}));
  EXPECT_EQ(slice.numel(), 1);
  int runs = 0;
  for_each_run(slice, [&](std::int64_t global, std::int64_t flat, std::int64_t count) {
    EXPECT_EQ(global, 0);
    EXPECT_EQ(flat, 0);
    EXPECT_EQ(count, 1);
    ++runs;
  });
  EXPECT_EQ(runs, 1);
}

TEST(Slice, TheRefusalNamesTensorRoleSizeAndParts) {
  RoleShares shares;
  shares[Role::Hidden] = {3, 1};
  try {
    place("layers.0.w1", Shape{8, 64}, Placement().split(1, Role::Hidden), shares);
    ADD_FAILURE() << "64 cannot be cut into 3";
  } catch (const ConfigError& error) {
    const std::string message = error.what();
    for (const char* piece : {"layers.0.w1", "dim 1", "[8, 64]", "hidden", "3 equal parts"}) {
      EXPECT_NE(message.find(piece), std::string::npos) << message;
    }
  }
}

TEST(Slice, PrintsItsBox) {
  RoleShares shares;
  shares[Role::Expert] = {2, 1};
  const Slice slice = shard(place("w", Shape{4, 3}, Placement().split(0, Role::Expert), shares), 2, 1);
  EXPECT_EQ(to_string(slice), "[2:4, 0:3] of [4, 3], elements 3..6");
}

}  // namespace
}  // namespace moe
