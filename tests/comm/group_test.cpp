// What belongs to a group as a whole: barrier, split, many operations in flight.
#include "comm/group.h"

#include <gtest/gtest.h>

#include "comm/buffers.h"
#include "support/worlds.h"

namespace moe {
namespace {

using testing::run_world;
using testing::same_bits;
using testing::values;
using testing::view_of;

class Group : public testing::OnEveryWorld {};

TEST_P(Group, KnowsItsPlaceAndPurpose) {
  run_world(GetParam(), [](comm::Group& group) {
    EXPECT_GE(group.rank(), 0);
    EXPECT_LT(group.rank(), group.size());
    EXPECT_FALSE(group.purpose().empty());
  });
}

TEST_P(Group, BarrierEndsAndCanBeRepeated) {
  run_world(GetParam(), [](comm::Group& group) {
    for (int i = 0; i < 50; ++i) group.barrier().wait();
  });
}

// Sum of the world ranks in a group, by its own collective.
std::int32_t sum_of(comm::Group& group, int world_rank) {
  std::vector<std::int32_t> data{world_rank};
  group.all_reduce_sum(view_of(data)).wait();
  return data[0];
}

TEST_P(Group, SplitsByColorInRankOrder) {
  run_world(GetParam(), [](comm::Group& world) {
    const int color = world.rank() % 2;
    const std::unique_ptr<comm::Group> half = world.split(color, "half");
    ASSERT_NE(half, nullptr);
    EXPECT_EQ(half->purpose(), "half");
    EXPECT_EQ(half->rank(), world.rank() / 2);
    EXPECT_EQ(half->size(), (world.size() + 1 - color) / 2);
    std::int32_t expected = 0;
    for (int rank = color; rank < world.size(); rank += 2) expected += rank;
    EXPECT_EQ(sum_of(*half, world.rank()), expected);
  });
}

TEST_P(Group, ANegativeColorIsInNoGroup) {
  run_world(GetParam(), [](comm::Group& world) {
    const bool inside = world.rank() != world.size() - 1;
    const std::unique_ptr<comm::Group> most = world.split(inside ? 5 : -1, "most");
    EXPECT_EQ(most != nullptr, inside);
    if (inside) {
      EXPECT_EQ(most->size(), world.size() - 1);
    }
  });
}

TEST_P(Group, SplitsOfSplitsWork) {
  run_world(GetParam(), [](comm::Group& world) {
    const std::unique_ptr<comm::Group> half = world.split(world.rank() % 2, "half");
    const std::unique_ptr<comm::Group> quarter = half->split(half->rank() % 2, "quarter");
    std::int32_t expected = 0;
    for (int rank = world.rank() % 4; rank < world.size(); rank += 4) expected += rank;
    EXPECT_EQ(sum_of(*quarter, world.rank()), expected);
  });
}

TEST_P(Group, ManyReductionsRunBehindExchangesOnAnotherGroup) {
  run_world(GetParam(), [](comm::Group& world) {
    constexpr int kBuckets = 20;
    constexpr std::int64_t kElements = 20'011;
    const std::unique_ptr<comm::Group> exchange = world.split(0, "exchange");
    std::vector<std::vector<float>> buckets;
    std::vector<comm::Work> reductions;
    for (int bucket = 0; bucket < kBuckets; ++bucket) {
      buckets.push_back(values<float>(world.rank(), kElements, bucket));
    }
    const auto ranks = static_cast<std::size_t>(world.size());
    const std::vector<std::int64_t> rows(ranks, 11);
    for (int bucket = 0; bucket < kBuckets; ++bucket) {
      reductions.push_back(
          world.all_reduce_sum(view_of(buckets[static_cast<std::size_t>(bucket)])));
      std::vector<std::int32_t> send(11 * ranks, world.rank());
      std::vector<std::int32_t> receive(11 * ranks, -1);
      const std::int64_t total = 11 * world.size();
      exchange->all_to_all(view_of(send, {total, 1}), rows, view_of(receive, {total, 1}), rows)
          .wait();
      for (std::size_t i = 0; i < receive.size(); ++i) {
        ASSERT_EQ(receive[i], static_cast<std::int32_t>(i / 11));
      }
    }
    for (int bucket = kBuckets; bucket-- > 0;) {
      const auto at = static_cast<std::size_t>(bucket);
      reductions[at].wait();
      EXPECT_TRUE(reductions[at].done());
      EXPECT_GE(reductions[at].elapsed(), 0.0);
      EXPECT_TRUE(
          same_bits(buckets[at], testing::serial_sum<float>(world.size(), kElements, bucket)));
    }
  });
}

TEST_P(Group, WorkMayBeWaitedTwiceAndOutliveTheGroup) {
  run_world(GetParam(), [](comm::Group& world) {
    std::unique_ptr<comm::Group> group = world.split(0, "short-lived");
    std::vector<float> data(1000, 1.0F);
    const comm::Work work = group->all_reduce_sum(view_of(data));
    group = nullptr;  // finishes what was issued
    work.wait();
    work.wait();
    EXPECT_EQ(data[999], static_cast<float>(world.size()));
  });
}

INSTANTIATE_TEST_SUITE_P(Worlds, Group, ::testing::ValuesIn(testing::world_cases()),
                         testing::world_name);

}  // namespace
}  // namespace moe
