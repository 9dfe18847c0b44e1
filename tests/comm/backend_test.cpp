#include "comm/backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "comm/buffers.h"

namespace moe {
namespace {

TEST(Backend, WithoutALauncherAutoIsOneRank) {
  const std::unique_ptr<comm::World> world = comm::make_world();
  EXPECT_EQ(world->rank(), 0);
  EXPECT_EQ(world->size(), 1);
  EXPECT_EQ(world->local_rank(), 0);
  EXPECT_EQ(world->local_size(), 1);
  std::vector<float> data{1, 2, 3};
  world->group().all_reduce_sum(testing::view_of(data)).wait();
  EXPECT_EQ(data, (std::vector<float>{1, 2, 3}));
}

TEST(Backend, AnUnknownNameIsRefusedWithTheNamesThereAre) {
  try {
    (void)comm::make_world("nccl2");
    FAIL() << "an unknown name was accepted";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("auto, self, mpi"));
  }
}

}  // namespace
}  // namespace moe
