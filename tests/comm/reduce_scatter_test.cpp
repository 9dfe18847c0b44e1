#include <gtest/gtest.h>

#include "base/error.h"
#include "comm/buffers.h"
#include "support/worlds.h"

namespace moe {
namespace {

using testing::run_world;
using testing::same_bits;
using testing::values;
using testing::view_of;

class ReduceScatter : public testing::OnEveryWorld {};

template <class T>
void expect_own_part_of_the_sum(comm::Group& group, std::int64_t part) {
  SCOPED_TRACE(format("{} elements of {} bytes per rank", part, sizeof(T)));
  std::vector<T> input = values<T>(group.rank(), part * group.size());
  const std::vector<T> before = input;
  std::vector<T> output(static_cast<std::size_t>(part));
  group.reduce_scatter_sum(view_of(input), view_of(output)).wait();
  EXPECT_TRUE(same_bits(output, testing::serial_sum<T>(group.size(), part, part * group.rank())));
  EXPECT_TRUE(same_bits(input, before)) << "the input was changed";
}

TEST_P(ReduceScatter, GivesEachRankItsPartOfTheRankOrderSum) {
  run_world(GetParam(), [](comm::Group& group) {
    for (const std::int64_t part : testing::kCounts) {
      expect_own_part_of_the_sum<float>(group, part);
      expect_own_part_of_the_sum<double>(group, part);
      expect_own_part_of_the_sum<std::int32_t>(group, part);
      expect_own_part_of_the_sum<std::int64_t>(group, part);
    }
    expect_own_part_of_the_sum<float>(group, testing::kLongCount / group.size());
  });
}

TEST_P(ReduceScatter, MayWriteIntoItsOwnPartOfTheInput) {
  run_world(GetParam(), [](comm::Group& group) {
    const std::int64_t part = 700'001;
    std::vector<float> data = values<float>(group.rank(), part * group.size());
    View own = view_of(data);
    own.dims[0] = part;
    own.data = data.data() + part * group.rank();
    group.reduce_scatter_sum(view_of(data), own).wait();
    const std::span<const float> result(own.as<float>(), static_cast<std::size_t>(part));
    const std::vector<float> expected =
        testing::serial_sum<float>(group.size(), part, part * group.rank());
    EXPECT_TRUE(same_bits(result, std::span<const float>(expected)));
  });
}

TEST_P(ReduceScatter, RefusesSizesThatDoNotFit) {
  run_world(GetParam(), [](comm::Group& group) {
    std::vector<float> input(static_cast<std::size_t>(3 * group.size() + 1));
    std::vector<float> output(3);
    EXPECT_THROW((void)group.reduce_scatter_sum(view_of(input), view_of(output)), ShapeError);
    std::vector<double> wide(1);
    EXPECT_THROW((void)group.reduce_scatter_sum(view_of(input), view_of(wide)), DTypeError);
  });
}

INSTANTIATE_TEST_SUITE_P(Worlds, ReduceScatter, ::testing::ValuesIn(testing::world_cases()),
                         testing::world_name);

}  // namespace
}  // namespace moe
