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

class Broadcast : public testing::OnEveryWorld {};

template <class T>
void expect_roots_values(comm::Group& group, std::int64_t count, int root) {
  SCOPED_TRACE(format("{} elements of {} bytes from rank {}", count, sizeof(T), root));
  std::vector<T> data = values<T>(group.rank(), count);
  group.broadcast(view_of(data), root).wait();
  EXPECT_TRUE(same_bits(data, values<T>(root, count)));
}

TEST_P(Broadcast, EveryoneHasTheRootsBuffer) {
  run_world(GetParam(), [](comm::Group& group) {
    for (int root = 0; root < group.size(); ++root) {
      for (const std::int64_t count : testing::kCounts) {
        expect_roots_values<float>(group, count, root);
        expect_roots_values<std::uint8_t>(group, count, root);
      }
    }
  });
}

TEST_P(Broadcast, RefusesARootThatIsNoRank) {
  run_world(GetParam(), [](comm::Group& group) {
    std::vector<float> data(3);
    EXPECT_THROW((void)group.broadcast(view_of(data), group.size()), ShapeError);
    EXPECT_THROW((void)group.broadcast(view_of(data), -1), ShapeError);
  });
}

INSTANTIATE_TEST_SUITE_P(Worlds, Broadcast, ::testing::ValuesIn(testing::world_cases()),
                         testing::world_name);

}  // namespace
}  // namespace moe
