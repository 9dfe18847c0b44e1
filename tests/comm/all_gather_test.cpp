#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "comm/buffers.h"
#include "support/worlds.h"

namespace moe {
namespace {

using testing::run_world;
using testing::same_bits;
using testing::values;
using testing::view_of;

class AllGather : public testing::OnEveryWorld {};

template <class T>
std::vector<T> everyones(int ranks, std::int64_t part) {
  std::vector<T> all;
  for (int rank = 0; rank < ranks; ++rank) {
    const std::vector<T> theirs = values<T>(rank, part);
    all.insert(all.end(), theirs.begin(), theirs.end());
  }
  return all;
}

template <class T>
void expect_all_parts(comm::Group& group, std::int64_t part) {
  SCOPED_TRACE(format("{} elements of {} bytes per rank", part, sizeof(T)));
  std::vector<T> input = values<T>(group.rank(), part);
  std::vector<T> output(static_cast<std::size_t>(part * group.size()));
  group.all_gather(view_of(input), view_of(output)).wait();
  EXPECT_TRUE(same_bits(output, everyones<T>(group.size(), part)));
}

TEST_P(AllGather, StandsInRankOrder) {
  run_world(GetParam(), [](comm::Group& group) {
    for (const std::int64_t part : testing::kCounts) {
      expect_all_parts<float>(group, part);
      expect_all_parts<std::uint8_t>(group, part);
      expect_all_parts<std::uint16_t>(group, part);
      expect_all_parts<std::int64_t>(group, part);
    }
  });
}

TEST_P(AllGather, MayReadItsOwnPartOfTheOutput) {
  run_world(GetParam(), [](comm::Group& group) {
    const std::int64_t part = 30'011;
    std::vector<float> output(static_cast<std::size_t>(part * group.size()));
    const std::vector<float> mine = values<float>(group.rank(), part);
    std::copy(mine.begin(), mine.end(), output.begin() + part * group.rank());
    View own = view_of(output);
    own.dims[0] = part;
    own.data = output.data() + part * group.rank();
    group.all_gather(own, view_of(output)).wait();
    EXPECT_TRUE(same_bits(output, everyones<float>(group.size(), part)));
  });
}

TEST_P(AllGather, RefusesSizesThatDoNotFit) {
  run_world(GetParam(), [](comm::Group& group) {
    std::vector<float> input(3);
    std::vector<float> output(static_cast<std::size_t>(3 * group.size() - 1));
    EXPECT_THROW((void)group.all_gather(view_of(input), view_of(output)), ShapeError);
  });
}

INSTANTIATE_TEST_SUITE_P(Worlds, AllGather, ::testing::ValuesIn(testing::world_cases()),
                         testing::world_name);

}  // namespace
}  // namespace moe
