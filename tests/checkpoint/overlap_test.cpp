#include "checkpoint/overlap.h"

#include <gtest/gtest.h>

#include <set>

#include "base/random.h"

namespace moe::checkpoint {
namespace {

Slice random_slice(const Shape& global, const Random& random, std::uint64_t& counter) {
  const auto below = [&](std::int64_t bound) {
    return static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(bound), counter++));
  };
  Slice slice = whole(global);
  for (int dim = 0; dim < global.rank(); ++dim) {
    const std::int64_t begin = below(global[dim] / 2 + 1);
    slice.begin[static_cast<std::size_t>(dim)] = begin;
    slice.size.set(dim, below(global[dim] - begin + 1));
  }
  const std::int64_t count = slice.size.numel();
  slice.flat_begin = below(count / 2 + 1);
  slice.flat_end = slice.flat_begin + below(count - slice.flat_begin + 1);
  return slice;
}

std::set<std::int64_t> elements(const Slice& slice) {
  std::set<std::int64_t> result;
  for (std::int64_t i = slice.flat_begin; i < slice.flat_end; ++i) {
    result.insert(global_index(slice, i));
  }
  return result;
}

TEST(Overlap, FindsExactlyTheSharedElementsOfRandomSlices) {
  const Random random(1, "overlap");
  std::uint64_t counter = 0;
  int pairs_that_share = 0;
  for (const Shape& global : {Shape{4, 2, 6, 5}, Shape{13}, Shape{3, 1, 7}, Shape{}}) {
    for (int round = 0; round < 300; ++round) {
      const Slice a = random_slice(global, random, counter);
      const Slice b = random_slice(global, random, counter);
      std::set<std::int64_t> shared;
      std::int64_t last_a = -1;
      for_each_overlap(a, b, [&](std::int64_t at_a, std::int64_t at_b, std::int64_t count) {
        ASSERT_GT(at_a, last_a);
        ASSERT_GT(count, 0);
        last_a = at_a + count - 1;
        for (std::int64_t i = 0; i < count; ++i) {
          ASSERT_EQ(global_index(a, at_a + i), global_index(b, at_b + i));
          ASSERT_TRUE(shared.insert(global_index(a, at_a + i)).second);
        }
      });
      std::set<std::int64_t> wanted;
      const auto in_b = elements(b);
      for (const std::int64_t element : elements(a)) {
        if (in_b.contains(element)) wanted.insert(element);
      }
      ASSERT_EQ(shared, wanted) << to_string(a) << " and " << to_string(b);
      if (wanted.empty()) continue;
      ++pairs_that_share;
      EXPECT_TRUE(may_overlap(a, b));
    }
  }
  EXPECT_GT(pairs_that_share, 100);
}

Slice box(const Shape& global, std::int64_t begin, std::int64_t size) {
  Slice slice = whole(global);
  slice.begin[1] = begin;
  slice.size.set(1, size);
  slice.flat_end = slice.size.numel();
  return slice;
}

TEST(Tiling, AcceptsDisjointSlicesThatHoldEverything) {
  const Shape global{3, 4};
  EXPECT_EQ(tiling_fault(global, {whole(global)}), "");
  EXPECT_EQ(tiling_fault(global, {box(global, 2, 2), box(global, 0, 2)}), "");
  EXPECT_EQ(tiling_fault(global, {shard(box(global, 0, 2), 4, 0), shard(box(global, 0, 2), 4, 1),
                                  shard(box(global, 0, 2), 4, 2), shard(box(global, 0, 2), 4, 3),
                                  box(global, 2, 2)}),
            "");
  // Two layouts mixed: columns above, rows below; only single runs show that this fits.
  Slice top = shard(whole(global), 3, 0);
  Slice left = box(global, 0, 1);
  left.flat_begin = 1;
  Slice right = box(global, 1, 3);
  right.flat_begin = 3;
  EXPECT_EQ(tiling_fault(global, {top, left, right}), "");
  EXPECT_EQ(tiling_fault(Shape{0, 4}, {}), "");
  EXPECT_EQ(tiling_fault(Shape{}, {whole(Shape{})}), "");
}

/// One element less in any place, however the rest is cut.
TEST(Tiling, NamesAnySingleMissingElement) {
  const Shape global{3, 4};
  for (std::int64_t missing = 0; missing < 12; ++missing) {
    Slice before = whole(global);
    before.flat_end = missing;
    Slice after = whole(global);
    after.flat_begin = missing + 1;
    const std::string expected = "element " + std::to_string(missing) + " is in no slice";
    EXPECT_EQ(tiling_fault(global, {before, after}), expected);
    EXPECT_EQ(tiling_fault(global, {after, shard(before, 2, 1), shard(before, 2, 0)}), expected);
  }
}

TEST(Tiling, NamesTheFirstMissingOrRepeatedElement) {
  const Shape global{3, 4};
  struct Row {
    std::vector<Slice> slices;
    std::string expected;
  };
  const Row rows[] = {
      {{}, "none of its elements"},
      {{box(global, 0, 2)}, "element 2 is in no slice"},
      {{shard(whole(global), 2, 0)}, "element 6 is in no slice"},
      {{shard(whole(global), 2, 1)}, "element 0 is in no slice"},
      {{whole(global), whole(global)}, "element 0 is in two slices"},
      {{whole(global), box(global, 3, 1)}, "element 3 is in two slices"},
      {{box(global, 0, 3), box(global, 2, 2)}, "element 2 is in two slices"},
  };
  for (const Row& row : rows) {
    EXPECT_NE(tiling_fault(global, row.slices).find(row.expected), std::string::npos)
        << tiling_fault(global, row.slices);
  }
}

}  // namespace
}  // namespace moe::checkpoint
