// What only ranks in one process can show: failing fast and together, and no memory asked in a
// steady loop.
#include "comm/thread/thread_world.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>

#include "comm/buffers.h"
#include "support/thread_ranks.h"

namespace moe {
namespace {

using ::testing::HasSubstr;
using testing::RankOptions;
using testing::run_ranks;
using testing::view_of;

struct OwnError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

std::string message_of(const comm::Work& work) {
  try {
    work.wait();
  } catch (const CommError& error) {
    return error.what();
  }
  return "";
}

TEST(ThreadWorld, AThrowingRankEndsTheWaitsOfTheOthers) {
  std::atomic<int> told = 0;
  const auto body = [&](comm::Group& world) {
    if (world.rank() == 1) throw OwnError("rank 1 is ill");
    std::vector<float> data(10'000);
    const std::string message = message_of(world.all_reduce_sum(view_of(data)));
    EXPECT_THAT(message, HasSubstr("rank 1 is ill"));
    EXPECT_THAT(message, HasSubstr("[world] all_reduce_sum of 10000 f32"));
    if (!message.empty()) ++told;
  };
  EXPECT_THROW(run_ranks(4, body), OwnError);
  EXPECT_EQ(told, 3);
}

TEST(ThreadWorld, AThrowingRankReachesGroupsThatWereSplit) {
  std::atomic<int> told = 0;
  const auto body = [&](comm::Group& world) {
    const auto half = world.split(world.rank() / 2, "half");
    if (world.rank() == 0) throw OwnError("rank 0 is ill");
    // Rank 1 misses rank 0; the other half may pass, but not go on without the world.
    const std::string in_half = message_of(half->barrier());
    const std::string message = world.rank() == 1 ? in_half : message_of(world.barrier());
    if (!message.empty()) ++told;
  };
  EXPECT_THROW(run_ranks(4, body), OwnError);
  EXPECT_EQ(told, 3);
}

TEST(ThreadWorld, ALateRankIsNamed) {
  std::atomic<int> named = 0;
  std::atomic<int> waiting = 2;
  const auto body = [&](comm::Group& world) {
    if (world.rank() == 1) {
      for (int left = waiting; left > 0; left = waiting) waiting.wait(left);
      return;
    }
    const std::string message = message_of(world.barrier());
    if (message.find("peer 1 (world rank 1)") != std::string::npos) ++named;
    EXPECT_THAT(message, HasSubstr("[world] barrier on rank"));
    EXPECT_THAT(message, HasSubstr("ms"));
    --waiting;
    waiting.notify_all();
  };
  run_ranks(3, body, RankOptions{.timeout_seconds = 0.05});
  EXPECT_GE(named, 1);  // the second to give up may hear of the first one instead
}

TEST(ThreadWorld, AfterAFailureEveryCollectiveOfTheGroupFailsAtOnce) {
  const auto body = [](comm::Group& world) {
    if (world.rank() == 1) return;
    EXPECT_NE(message_of(world.barrier()), "");
    EXPECT_THAT(message_of(world.barrier()), HasSubstr("an earlier collective"));
  };
  run_ranks(2, body, RankOptions{.timeout_seconds = 0.02});
}

TEST(ThreadWorld, RanksThatDisagreeOnSizesAreTold) {
  run_ranks(2, [](comm::Group& world) {
    std::vector<float> data(world.rank() == 0 ? 10 : 12);
    EXPECT_THAT(
        message_of(world.broadcast(view_of(data), 0)),
        world.rank() == 0 ? HasSubstr("") : HasSubstr("expected 48 bytes, the peer sent 40"));
  });
}

TEST(ThreadWorld, UnwindingCancelsWhatWasIssuedInsteadOfWaitingForIt) {
  const auto body = [](comm::Group& world) {
    const auto group = world.split(0, "reductions");
    std::vector<float> data(50'000);
    const comm::Work work = group->all_reduce_sum(view_of(data));
    if (world.rank() == 0) throw OwnError("in the middle");
    // The others issue one more than rank 0 ever will.
    work.wait();
    group->all_reduce_sum(view_of(data)).wait();
  };
  EXPECT_THROW(run_ranks(3, body), OwnError);
}

TEST(ThreadWorld, ADroppedHandleOutlastsNoBuffer) {
  run_ranks(3, [](comm::Group& world) {
    std::vector<float> sum(50'000, 1.0F);
    { const comm::Work dropped = world.all_reduce_sum(view_of(sum)); }
    EXPECT_EQ(sum, std::vector<float>(50'000, 3.0F));
  });
}

TEST(ThreadWorld, RepeatedUnwindingReadsAndWritesNoFreedMemory) {
  for (int turn = 0; turn < 40; ++turn) {
    const auto body = [turn](comm::Group& world) {
      const auto group = world.split(0, "reductions");
      std::vector<float> data(50'000);
      const comm::Work work = group->all_reduce_sum(view_of(data));
      if (world.rank() == turn % 3) throw OwnError("in the middle");
      work.wait();
      group->all_reduce_sum(view_of(data)).wait();
    };
    EXPECT_THROW(run_ranks(3, body), OwnError);
  }
}

TEST(ThreadWorld, RepeatedFailuresWhileBuffersMoveReadNoFreedMemory) {
  for (int turn = 0; turn < 20; ++turn) {
    const auto body = [turn](comm::Group& world) {
      for (int i = 0; i < 8; ++i) {
        std::vector<float> data(30'000, 1.0F);
        if (world.rank() == turn % 3 && i == turn % 8) throw OwnError("now");
        world.all_reduce_sum(view_of(data)).wait();
      }
    };
    EXPECT_THROW(run_ranks(3, body), OwnError);
  }
}

TEST(ThreadWorld, WorkingMemoryIsChargedAndReused) {
  run_ranks(2, [](comm::Group& world) {
    std::vector<float> data(1'000'000, 1.0F);
    world.all_reduce_sum(view_of(data)).wait();
    Allocator& allocator = current_context().allocator;
    const std::int64_t asked = allocator.system_allocations();
    for (int i = 0; i < 5; ++i) world.all_reduce_sum(view_of(data)).wait();
    EXPECT_EQ(allocator.system_allocations(), asked);
    EXPECT_GT(allocator.account(MemoryCategory::Exchange).peak_bytes, 0);
    EXPECT_LE(allocator.account(MemoryCategory::Exchange).peak_bytes, std::int64_t{8} << 20);
    EXPECT_EQ(allocator.account(MemoryCategory::Exchange).bytes, 0);
  });
}

TEST(ThreadWorld, RunRanksGivesEachRankItsOwnContext) {
  std::atomic<int> sum = 0;
  run_ranks(
      3,
      [&](comm::Group& world) {
        EXPECT_EQ(current_context().stream.pool().threads(), 2);
        sum += world.rank() + 1;
      },
      2, CpuIsa::Avx2);
  EXPECT_EQ(sum, 6);
}

}  // namespace
}  // namespace moe
