#include "base/overlap_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace moe {
namespace {

TEST(OverlapQueue, DoesJobsInOrder) {
  std::vector<int> done;
  {
    OverlapQueue queue;
    for (int i = 0; i < 100; ++i) queue.submit([&done, i] { done.push_back(i); });
  }
  ASSERT_EQ(done.size(), 100U);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(done[static_cast<std::size_t>(i)], i);
}

TEST(OverlapQueue, WaitReturnsWhenNothingIsUnderWay) {
  OverlapQueue queue;
  queue.wait();
  std::atomic<bool> done{false};
  queue.submit([&] { done = true; });
  queue.wait();
  EXPECT_TRUE(done);
}

TEST(OverlapQueue, SubmitReturnsWhileTheJobRuns) {
  OverlapQueue queue;
  std::atomic<bool> go{false};
  queue.submit([&] {
    while (!go) std::this_thread::yield();
  });
  go = true;  // never reached if submit waited for its own job
  queue.wait();
}

TEST(OverlapQueue, TellsAFailureOnceAndGoesOn) {
  OverlapQueue queue;
  queue.submit([] { throw std::runtime_error("full"); });
  bool ran = false;
  EXPECT_THROW(queue.submit([&] { ran = true; }), std::runtime_error);
  queue.wait();
  EXPECT_FALSE(ran);
  queue.submit([&] { ran = true; });
  queue.wait();
  EXPECT_TRUE(ran);
}

TEST(OverlapQueue, TellsAFailureAtTheEnd) {
  OverlapQueue queue;
  queue.submit([] { throw std::runtime_error("full"); });
  EXPECT_THROW(queue.wait(), std::runtime_error);
  queue.wait();
}

TEST(OverlapQueue, DropsAFailureThatNobodyAsksFor) {
  OverlapQueue queue;
  queue.submit([] { throw std::runtime_error("full"); });
}

}  // namespace
}  // namespace moe
