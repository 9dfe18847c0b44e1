#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "comm/buffers.h"
#include "support/worlds.h"

namespace moe {
namespace {

using testing::kCounts;
using testing::run_world;
using testing::same_bits;
using testing::value_of;
using testing::values;
using testing::view_of;

class AllReduce : public testing::OnEveryWorld {};

template <class T>
void expect_rank_order_sum(comm::Group& group, std::int64_t count) {
  SCOPED_TRACE(format("{} elements of {} bytes", count, sizeof(T)));
  std::vector<T> data = values<T>(group.rank(), count);
  group.all_reduce_sum(view_of(data)).wait();
  EXPECT_TRUE(same_bits(data, testing::serial_sum<T>(group.size(), count)));
}

TEST_P(AllReduce, SumsInRankOrderToTheSameBitsAsASerialLoop) {
  run_world(GetParam(), [](comm::Group& group) {
    for (const std::int64_t count : kCounts) {
      expect_rank_order_sum<float>(group, count);
      expect_rank_order_sum<double>(group, count);
      expect_rank_order_sum<std::int32_t>(group, count);
      expect_rank_order_sum<std::int64_t>(group, count);
    }
    expect_rank_order_sum<float>(group, testing::kLongCount);
  });
}

template <class T>
void expect_maximum(comm::Group& group, std::int64_t count) {
  std::vector<T> data = values<T>(group.rank(), count);
  group.all_reduce_max(view_of(data)).wait();
  std::vector<T> expected = values<T>(0, count);
  for (std::int64_t i = 0; i < count; ++i) {
    for (int rank = 1; rank < group.size(); ++rank) {
      T& at = expected[static_cast<std::size_t>(i)];
      at = std::max(at, value_of<T>(rank, i));
    }
  }
  EXPECT_TRUE(same_bits(data, expected)) << count << " elements of " << sizeof(T) << " bytes";
}

TEST_P(AllReduce, TakesTheMaximum) {
  run_world(GetParam(), [](comm::Group& group) {
    for (const std::int64_t count : kCounts) {
      expect_maximum<float>(group, count);
      expect_maximum<double>(group, count);
      expect_maximum<std::int32_t>(group, count);
      expect_maximum<std::int64_t>(group, count);
    }
  });
}

TEST_P(AllReduce, ANanOfAnyRankReachesEveryRank) {
  run_world(GetParam(), [](comm::Group& group) {
    for (int source = 0; source < group.size(); ++source) {
      std::vector<float> data(5, static_cast<float>(group.rank()));
      if (group.rank() == source) data[3] = std::numeric_limits<float>::quiet_NaN();
      std::vector<float> maximum = data;
      group.all_reduce_sum(view_of(data)).wait();
      group.all_reduce_max(view_of(maximum)).wait();
      EXPECT_TRUE(std::isnan(data[3]));
      EXPECT_TRUE(std::isnan(maximum[3]));
      EXPECT_EQ(maximum[2], static_cast<float>(group.size() - 1));
    }
  });
}

TEST_P(AllReduce, RefusesWhatItCannotReduce) {
  run_world(GetParam(), [](comm::Group& group) {
    std::vector<BFloat16> half(4);
    EXPECT_THROW((void)group.all_reduce_sum(view_of(half)), DTypeError);
    std::vector<float> data(8);
    View strided = view_of(data, {2, 2});
    strided.strides = {4, 2};
    EXPECT_THROW((void)group.all_reduce_sum(strided), ShapeError);
  });
}

INSTANTIATE_TEST_SUITE_P(Worlds, AllReduce, ::testing::ValuesIn(testing::world_cases()),
                         testing::world_name);

}  // namespace
}  // namespace moe
