#include "device/worker_pool.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace moe {
namespace {

TEST(WorkerPool, RunsEachTileExactlyOnce) {
  for (int threads = 1; threads <= 4; ++threads) {
    WorkerPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    // Not atomic: that no tile is run by two threads is what is tested (and tsan listens).
    std::vector<int> runs(1000);
    for (std::int64_t count = 0; count <= 1000; ++count) {
      std::fill(runs.begin(), runs.end(), 0);
      pool.parallel_for(count, [&](std::int64_t tile) { ++runs[static_cast<std::size_t>(tile)]; });
      for (std::int64_t tile = 0; tile < 1000; ++tile) {
        ASSERT_EQ(runs[static_cast<std::size_t>(tile)], tile < count ? 1 : 0)
            << threads << " threads, tile " << tile << " of " << count;
      }
    }
  }
}

TEST(WorkerPool, ANegativeCountIsNothing) {
  WorkerPool pool(2);
  pool.parallel_for(-5, [](std::int64_t) { FAIL(); });
}

TEST(WorkerPool, RangesTileTheWhole) {
  for (int threads = 1; threads <= 3; ++threads) {
    WorkerPool pool(threads);
    for (const std::int64_t size : {0, 1, 7, 64, 65, 1000}) {
      for (const std::int64_t grain : {1, 3, 64, 2000}) {
        std::vector<int> runs(static_cast<std::size_t>(size));
        std::atomic<std::int64_t> longest{0};
        pool.parallel_ranges(size, grain, [&](std::int64_t begin, std::int64_t end) {
          EXPECT_LT(begin, end);
          EXPECT_EQ(begin % grain, 0);
          for (std::int64_t i = begin; i < end; ++i) ++runs[static_cast<std::size_t>(i)];
          if (end - begin > longest) longest = end - begin;
        });
        EXPECT_EQ(longest, std::min(size, grain));
        EXPECT_EQ(runs, std::vector<int>(static_cast<std::size_t>(size), 1));
      }
    }
  }
}

TEST(WorkerPool, UsesItsThreads) {
  // Two tiles that wait for each other finish only if two threads run them.
  WorkerPool pool(2);
  std::atomic<int> arrived{0};
  pool.parallel_for(2, [&](std::int64_t) {
    ++arrived;
    while (arrived < 2) std::this_thread::yield();
  });
  EXPECT_EQ(arrived, 2);
}

TEST(WorkerPool, AnExceptionArrivesAfterAllTilesEndedAndThePoolLivesOn) {
  for (int threads = 1; threads <= 4; ++threads) {
    WorkerPool pool(threads);
    for (const std::int64_t count : {1, 2, 100}) {
      std::atomic<std::int64_t> ended{0};
      const auto throwing = [&](std::int64_t tile) {
        ++ended;
        if (tile == count / 2) throw std::runtime_error("tile " + std::to_string(tile));
      };
      try {
        pool.parallel_for(count, throwing);
        ADD_FAILURE() << "nothing thrown";
      } catch (const std::runtime_error& error) {
        EXPECT_EQ(error.what(), "tile " + std::to_string(count / 2));
      }
      EXPECT_EQ(ended, count) << threads << " threads";
      std::atomic<std::int64_t> sum{0};
      pool.parallel_for(10, [&](std::int64_t tile) { sum += tile; });
      EXPECT_EQ(sum, 45);
    }
  }
}

TEST(WorkerPool, WhenEveryTileThrowsOneExceptionArrives) {
  WorkerPool pool(3);
  EXPECT_THROW(pool.parallel_for(50, [](std::int64_t) { throw std::logic_error("x"); }),
               std::logic_error);
}

TEST(WorkerPool, NestedCallsRunInsideTheTile) {
  for (int threads = 1; threads <= 3; ++threads) {
    WorkerPool pool(threads);
    std::vector<int> runs(6 * 5 * 4);
    pool.parallel_for(6, [&](std::int64_t a) {
      pool.parallel_for(5, [&](std::int64_t b) {
        pool.parallel_ranges(4, 3, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t c = begin; c < end; ++c) {
            ++runs[static_cast<std::size_t>((a * 5 + b) * 4 + c)];
          }
        });
      });
    });
    EXPECT_EQ(runs, std::vector<int>(runs.size(), 1));
  }
}

TEST(WorkerPool, ANestedExceptionPassesThroughTheTile) {
  WorkerPool pool(2);
  std::atomic<int> caught{0};
  pool.parallel_for(8, [&](std::int64_t) {
    try {
      pool.parallel_for(3, [](std::int64_t) { throw std::runtime_error("inner"); });
    } catch (const std::runtime_error&) {
      ++caught;
    }
  });
  EXPECT_EQ(caught, 8);
}

TEST(WorkerPool, PoolsOfSeveralRanksRunAtOnce) {
  std::vector<std::thread> ranks;
  std::vector<std::int64_t> sums(3);
  for (std::size_t rank = 0; rank < sums.size(); ++rank) {
    ranks.emplace_back([&sums, rank] {
      WorkerPool pool(2);
      for (int job = 0; job < 500; ++job) {
        std::vector<std::int64_t> parts(8);
        pool.parallel_for(8, [&](std::int64_t tile) { parts[static_cast<std::size_t>(tile)] = tile; });
        for (const std::int64_t part : parts) sums[rank] += part;
      }
    });
  }
  for (std::thread& rank : ranks) rank.join();
  EXPECT_EQ(sums, std::vector<std::int64_t>(3, 500 * 28));
}

TEST(WorkerPool, ManyShortJobsNeitherDeadlockNorLoseATile) {
  WorkerPool pool(2);
  std::int64_t total = 0;
  std::vector<std::int64_t> parts(3);
  for (std::int64_t job = 0; job < 20000; ++job) {
    const std::int64_t count = 2 + job % 2;
    pool.parallel_for(count, [&](std::int64_t tile) { parts[static_cast<std::size_t>(tile)] = job; });
    for (std::int64_t tile = 0; tile < count; ++tile) {
      total += parts[static_cast<std::size_t>(tile)] - job;
    }
  }
  EXPECT_EQ(total, 0);
}

TEST(WorkerPool, JobsAfterAPauseWakeSleepingWorkers) {
  // Longer than the workers spin, so that they have gone to sleep.
  constexpr double kPauseSeconds = 1e-3;
  WorkerPool pool(2);
  std::atomic<std::int64_t> sum{0};
  for (int job = 0; job < 50; ++job) {
    const Stopwatch pause;
    while (pause.seconds() < kPauseSeconds) {
    }
    pool.parallel_for(4, [&](std::int64_t tile) { sum += tile; });
  }
  EXPECT_EQ(sum, 50 * 6);
}

TEST(WorkerPool, PoolsComeAndGo) {
  for (int i = 0; i < 200; ++i) {
    WorkerPool pool(1 + i % 4);
    if (i % 3 == 0) continue;  // some never work
    std::atomic<int> runs{0};
    pool.parallel_for(5, [&](std::int64_t) { ++runs; });
    EXPECT_EQ(runs, 5);
  }
}

TEST(WorkerPool, WhenThreadsCannotStartTheMessageNamesTheKey) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers need the address space that this test takes away";
#endif
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_AS, &before), 0);
  // Room for a few stacks only.
  std::ifstream statm("/proc/self/statm");
  rlim_t pages = 0;
  statm >> pages;
  const rlimit tight{pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE)) + (rlim_t{128} << 20),
                     before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &tight), 0);
  std::string message;
  try {
    const WorkerPool pool(1000);
  } catch (const DeviceError& error) {
    message = error.what();
  }
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &before), 0);
  EXPECT_NE(message.find("cannot start 999 worker threads"), std::string::npos) << message;
  EXPECT_NE(message.find("runtime.threads"), std::string::npos) << message;
}

TEST(WorkerPool, AtLeastOneThread) { EXPECT_THROW(WorkerPool(0), InternalError); }

}  // namespace
}  // namespace moe
