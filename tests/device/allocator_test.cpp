#include "device/allocator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"

namespace moe {
namespace {

TEST(Allocator, AccountsEveryByteByCategory) {
  Allocator allocator;
  void* a = allocator.allocate(1000, MemoryCategory::Parameters);
  void* b = allocator.allocate(50, MemoryCategory::Gradients);
  EXPECT_EQ(allocator.account(MemoryCategory::Parameters).bytes, 1000);
  EXPECT_EQ(allocator.account(MemoryCategory::Gradients).bytes, 50);
  EXPECT_EQ(allocator.account(MemoryCategory::Workspace).bytes, 0);
  EXPECT_EQ(allocator.total().bytes, 1050);
  allocator.release(a, 1000, MemoryCategory::Parameters);
  EXPECT_EQ(allocator.account(MemoryCategory::Parameters).bytes, 0);
  EXPECT_EQ(allocator.account(MemoryCategory::Parameters).peak_bytes, 1000);
  EXPECT_EQ(allocator.total().bytes, 50);
  EXPECT_EQ(allocator.total().peak_bytes, 1050);
  allocator.release(b, 50, MemoryCategory::Gradients);
  EXPECT_EQ(allocator.total().bytes, 0);
}

TEST(Allocator, PeaksStartAgainFromWhatIsLive) {
  Allocator allocator;
  void* kept = allocator.allocate(100, MemoryCategory::Optimizer);
  allocator.release(allocator.allocate(900, MemoryCategory::Optimizer), 900,
                    MemoryCategory::Optimizer);
  EXPECT_EQ(allocator.total().peak_bytes, 1000);
  allocator.reset_peaks();
  EXPECT_EQ(allocator.total().peak_bytes, 100);
  EXPECT_EQ(allocator.account(MemoryCategory::Optimizer).peak_bytes, 100);
  allocator.release(kept, 100, MemoryCategory::Optimizer);
}

TEST(Allocator, ASmallerBlockLowersNoPeak) {
  Allocator allocator;
  for (const std::int64_t bytes : {500, 900, 100}) {
    allocator.release(allocator.allocate(bytes, MemoryCategory::Exchange), bytes,
                      MemoryCategory::Exchange);
  }
  EXPECT_EQ(allocator.total().peak_bytes, 900);
  EXPECT_EQ(allocator.account(MemoryCategory::Exchange).peak_bytes, 900);
}

TEST(Allocator, BlocksOfAnySizeAreAlignedWritableAndDistinct) {
  Allocator allocator;
  std::vector<std::pair<unsigned char*, std::int64_t>> blocks;
  for (const std::int64_t bytes : {0, 1, 63, 64, 65, 1000, 4096, 70001, 2 << 20, (2 << 20) + 1, 5 << 20}) {
    auto* block =
        static_cast<unsigned char*>(allocator.allocate(bytes, MemoryCategory::Activations));
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % 64, 0U);
    std::memset(block, static_cast<int>(blocks.size()), static_cast<std::size_t>(bytes));
    blocks.emplace_back(block, bytes);
  }
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const auto [block, bytes] = blocks[i];
    if (bytes > 0) {
      EXPECT_EQ(block[0], i);
      EXPECT_EQ(block[bytes - 1], i);
    }
    allocator.release(block, bytes, MemoryCategory::Activations);
  }
  EXPECT_EQ(allocator.total().bytes, 0);
}

TEST(Allocator, ASteadyLoopAsksTheSystemForNothing) {
  Allocator allocator;
  const auto step = [&] {
    std::vector<std::pair<void*, std::int64_t>> held;
    for (const std::int64_t bytes : {100, 5000, 5001, 3 << 20, 100}) {
      held.emplace_back(allocator.allocate(bytes, MemoryCategory::Activations), bytes);
    }
    for (const auto& [block, bytes] : held) {
      allocator.release(block, bytes, MemoryCategory::Activations);
    }
  };
  step();
  const std::int64_t first = allocator.system_allocations();
  EXPECT_EQ(first, 5);
  for (int i = 0; i < 100; ++i) step();
  EXPECT_EQ(allocator.system_allocations(), first);
  allocator.trim();
  step();
  EXPECT_EQ(allocator.system_allocations(), 2 * first);
}

TEST(Allocator, SlightlySmallerRequestsReuseABlock) {
  Allocator allocator;
  for (const std::int64_t bytes : {64 * 1024, 1 << 20, 7 << 20}) {
    void* block = allocator.allocate(bytes, MemoryCategory::Workspace);
    allocator.release(block, bytes, MemoryCategory::Workspace);
    const std::int64_t less = bytes - 1;
    EXPECT_EQ(allocator.allocate(less, MemoryCategory::Workspace), block);
    allocator.release(block, less, MemoryCategory::Workspace);
  }
}

std::string out_of_memory_of(Allocator& allocator, std::int64_t bytes) {
  try {
    allocator.release(allocator.allocate(bytes, MemoryCategory::Exchange), bytes,
                      MemoryCategory::Exchange);
  } catch (const OutOfMemory& error) {
    return error.what();
  }
  return "";
}

TEST(Allocator, TheLimitEndsInAMessageWithTheTable) {
  Allocator allocator({}, 10000);
  void* held = allocator.allocate(6000, MemoryCategory::Parameters);
  const std::string message = out_of_memory_of(allocator, 4001);
  for (const char* piece :
       {"out of memory on cpu", "asked for 3.91 KiB (exchange)", "held 5.86 KiB", "limit 9.77 KiB",
        "parameters", "gradients", "optimizer", "activations", "workspace", "HINT",
        "training.micro_batch_size"}) {
    EXPECT_NE(message.find(piece), std::string::npos) << piece << " in\n" << message;
  }
  EXPECT_EQ(allocator.total().bytes, 6000) << "a refused request is not charged";
  EXPECT_EQ(out_of_memory_of(allocator, 4000), "");
  allocator.release(held, 6000, MemoryCategory::Parameters);
  EXPECT_EQ(out_of_memory_of(allocator, 10000), "") << "what is cached is not live";
}

TEST(Allocator, AbsurdRequestsAreOutOfMemoryToo) {
  Allocator allocator;
  for (const std::int64_t bytes : {std::int64_t{1} << 50, std::numeric_limits<std::int64_t>::max()}) {
    EXPECT_NE(out_of_memory_of(allocator, bytes), "");
  }
  EXPECT_EQ(allocator.total().bytes, 0);
  EXPECT_EQ(allocator.system_allocations(), 0);
}

TEST(Allocator, TableHasALinePerCategory) {
  Allocator allocator;
  void* block = allocator.allocate(2048, MemoryCategory::Gradients);
  const std::string table = allocator.table();
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'),
            static_cast<std::ptrdiff_t>(kMemoryCategories));
  EXPECT_NE(table.find("gradients        2.00 KiB live     2.00 KiB peak"), std::string::npos) << table;
  allocator.release(block, 2048, MemoryCategory::Gradients);
}

TEST(Allocator, ManyThreadsKeepTheAccountsExact) {
  Allocator allocator;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&allocator, t] {
      for (std::int64_t i = 0; i < 2000; ++i) {
        const std::int64_t bytes = 64 * (1 + (i * 7 + t) % 40);
        auto* block = static_cast<std::int64_t*>(
            allocator.allocate(bytes, MemoryCategory::Workspace));
        *block = t * 10000 + i;
        ASSERT_EQ(*block, t * 10000 + i);
        allocator.release(block, bytes, MemoryCategory::Workspace);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(allocator.total().bytes, 0);
  EXPECT_LE(allocator.total().peak_bytes, 4 * 64 * 40);
}

}  // namespace
}  // namespace moe
