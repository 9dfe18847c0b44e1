// What only processes can show. Runs under mpirun, beside the tests of every collective.
#include "comm/mpi/mpi_world.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/error.h"
#include "comm/backend.h"
#include "comm/buffers.h"
#include "support/mpi_main.h"

namespace moe {
namespace {

using testing::mpi_world;
using testing::view_of;

TEST(MpiWorld, KnowsTheLauncherAndTheNode) {
  EXPECT_TRUE(comm::is_launched_by_mpi());
  EXPECT_EQ(mpi_world().size(), testing::mpi_ranks());
  EXPECT_EQ(mpi_world().local_size(), mpi_world().size());  // one machine
  EXPECT_EQ(mpi_world().local_rank(), mpi_world().rank());
}

TEST(MpiWorld, AutoIsMpiUnderALauncher) {
  const std::unique_ptr<comm::World> world = comm::make_world();
  EXPECT_EQ(world->size(), testing::mpi_ranks());
  world->group().barrier().wait();
}

TEST(MpiWorld, ALateRankIsNamed) {
  if (mpi_world().size() == 1) GTEST_SKIP() << "needs a second rank";
  comm::MpiOptions options;
  options.timeout_seconds = 0.2;
  comm::MpiWorld impatient(options);
  if (impatient.rank() == 0) {
    const Stopwatch watch;
    try {
      impatient.group().barrier().wait();
      ADD_FAILURE() << "a barrier ended without rank 1";
    } catch (const CommError& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr("peer 1 (world rank 1)"));
      EXPECT_THAT(error.what(), ::testing::HasSubstr("[world] barrier"));
    }
    EXPECT_LT(watch.seconds(), 20.0);
  }
  mpi_world().group().barrier().wait();
}

TEST(MpiWorld, RanksThatDisagreeOnSizesAreTold) {
  if (mpi_world().size() == 1) GTEST_SKIP() << "needs a second rank";
  comm::MpiWorld other;
  std::vector<float> data(other.rank() == 0 ? 10 : 12);
  const comm::Work work = other.group().broadcast(view_of(data), 0);
  if (other.rank() == 0) {
    work.wait();
  } else {
    EXPECT_THROW(work.wait(), CommError);
  }
  mpi_world().group().barrier().wait();
}

}  // namespace
}  // namespace moe
