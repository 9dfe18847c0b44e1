#include <gtest/gtest.h>

#include "base/error.h"
#include "moe/balance_loss.h"
#include "support/thread_ranks.h"

namespace moe {
namespace {

using Numbers = std::vector<double>;

TEST(RoutingSums, GiveTheMeanOfTheStepsMicroBatchesSoFar) {
  RoutingSums sums;
  for (int step = 0; step < 2; ++step) {
    sums.begin_step();
    EXPECT_EQ(sums.add({8.0, 0.0, 1.0}), (Numbers{8.0, 0.0, 1.0}));
    EXPECT_EQ(sums.add({0.0, 2.0, 1.0}), (Numbers{4.0, 1.0, 1.0}));
    EXPECT_EQ(sums.add({1.0, 7.0, 1.0}), (Numbers{3.0, 3.0, 1.0}));
    EXPECT_EQ(sums.add({3.0, 3.0, 5.0}), (Numbers{3.0, 3.0, 2.0}));
  }
}

TEST(RoutingSums, NoCountsAreNoCounts) {
  RoutingSums sums;
  sums.begin_step();
  EXPECT_EQ(sums.add({}), Numbers{});
  EXPECT_EQ(sums.add({}), Numbers{});
}

TEST(RoutingSums, OtherCountsThanBeforeAreABug) {
  RoutingSums sums;
  sums.begin_step();
  sums.add({1.0});
  EXPECT_THROW(sums.add({1.0, 2.0}), InternalError);
  sums.begin_step();
  EXPECT_EQ(sums.add({1.0, 2.0}), (Numbers{1.0, 2.0})) << "a step may start with any";
}

TEST(RoutingSums, OfAGroupAddUpItsRanks) {
  testing::run_ranks(3, [](comm::Group& group) {
    const auto sums = make_group_routing_sums(group);
    for (int step = 0; step < 2; ++step) {
      sums->begin_step();
      const double rank = group.rank();
      EXPECT_EQ(sums->add({1.0, rank}), (Numbers{3.0, 3.0}));
      EXPECT_EQ(sums->add({rank, 5.0}), (Numbers{3.0, 9.0}));
    }
  });
}

}  // namespace
}  // namespace moe
