#include "device/block_arena.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <vector>

#include "base/random.h"

namespace moe {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;

/// Blocks in use, each filled with a byte of its own.
class Holder {
 public:
  explicit Holder(BlockArena& arena) : arena_(arena) {}
  ~Holder() {
    while (!blocks_.empty()) drop(blocks_.begin()->first);
  }
  char* hold(std::int64_t bytes) {
    auto* block = static_cast<char*>(arena_.take(bytes));
    EXPECT_NE(block, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % 64, 0U);
    const char mark = static_cast<char>(++marks_);
    std::memset(block, mark, static_cast<std::size_t>(bytes));
    blocks_[block] = {bytes, mark};
    return block;
  }
  void drop(char* block) {
    const auto [bytes, mark] = blocks_.at(block);
    for (const std::int64_t at : {std::int64_t{0}, bytes / 2, bytes - 1}) EXPECT_EQ(block[at], mark);
    arena_.give(block, bytes);
    blocks_.erase(block);
  }
  /// The block at this place in the order of addresses.
  char* at(std::uint64_t index) const {
    auto it = blocks_.begin();
    std::advance(it, static_cast<std::ptrdiff_t>(index % blocks_.size()));
    return it->first;
  }
  std::size_t count() const { return blocks_.size(); }
  std::int64_t bytes() const {
    std::int64_t sum = 0;
    for (const auto& [block, held] : blocks_) sum += held.bytes;
    return sum;
  }

 private:
  struct Held {
    std::int64_t bytes;
    char mark;
  };
  BlockArena& arena_;
  std::map<char*, Held> blocks_;
  int marks_ = 0;
};

TEST(BlockArena, WhatSmallBlocksGaveBackServesALargeOne) {
  for (const bool backwards : {false, true}) {
    BlockArena arena;
    Holder holder(arena);
    std::vector<char*> blocks;
    for (int i = 0; i < 8; ++i) blocks.push_back(holder.hold(kMiB - 4096));
    const std::int64_t touched = arena.touched_bytes();
    if (backwards) blocks = {blocks.rbegin(), blocks.rend()};
    for (char* block : blocks) holder.drop(block);
    holder.hold(8 * kMiB - 8 * 4096);
    EXPECT_EQ(arena.touched_bytes(), touched) << "no new memory";
  }
}

TEST(BlockArena, AHoleServesSmallerOnesAndTheRestStaysFree) {
  BlockArena arena;
  Holder holder(arena);
  char* hole = holder.hold(4 * kMiB);
  holder.hold(kMiB);
  holder.drop(hole);
  const std::int64_t growths = arena.growths();
  EXPECT_EQ(holder.hold(kMiB), hole);
  holder.hold(kMiB);
  holder.hold(kMiB);
  EXPECT_EQ(arena.growths(), growths);
}

TEST(BlockArena, TheSmallestHoleThatFitsIsTaken) {
  BlockArena arena;
  Holder holder(arena);
  char* large = holder.hold(8 * kMiB);
  holder.hold(kMiB);
  char* small = holder.hold(2 * kMiB);
  holder.hold(kMiB);
  holder.drop(large);
  holder.drop(small);
  EXPECT_EQ(holder.hold(2 * kMiB - 100), small);
  EXPECT_EQ(holder.hold(2 * kMiB), large);
}

TEST(BlockArena, GrowthBeginsWithTheFreeRangeBelowTheTop) {
  BlockArena arena;
  Holder holder(arena);
  holder.hold(kMiB);
  char* last = holder.hold(4 * kMiB);
  holder.drop(last);
  EXPECT_EQ(holder.hold(6 * kMiB), last);
}

TEST(BlockArena, TrimHandsFreeMemoryBackAndKeepsWhatIsUsed) {
  BlockArena arena;
  {
    Holder holder(arena);
    char* first = holder.hold(2 * kMiB);
    char* kept = holder.hold(2 * kMiB);
    holder.drop(first);
    arena.trim();
    holder.drop(kept);  // checks its bytes
    holder.hold(3 * kMiB);
  }
  arena.trim();
  EXPECT_EQ(arena.touched_bytes(), 0);
  Holder again(arena);
  again.hold(kMiB);
}

TEST(BlockArena, BlocksLargerThanASegmentAndMoreThanOneSegment) {
  BlockArena arena;
  constexpr std::int64_t kLarge = std::int64_t{5} << 30;
  void* first = arena.take(kLarge);  // nothing is touched
  void* second = arena.take(kLarge);
  ASSERT_NE(first, nullptr);
  ASSERT_NE(second, nullptr);
  arena.give(first, kLarge);
  EXPECT_EQ(arena.take(kLarge), first);
  arena.give(first, kLarge);
  arena.give(second, kLarge);
}

TEST(BlockArena, NoMemoryIsNull) {
  BlockArena arena;
  EXPECT_EQ(arena.take(std::int64_t{1} << 50), nullptr);
  EXPECT_EQ(arena.growths(), 0);
}

/// Random sizes and orders, twice: blocks keep their bytes, and the second round is the first.
TEST(BlockArena, RandomUseKeepsBlocksApartAndRepeats) {
  const auto play = [] {
    BlockArena arena;
    Holder holder(arena);
    const Random random(7, "block_arena");
    std::vector<std::ptrdiff_t> places;
    char* base = holder.hold(4096);
    for (std::uint64_t i = 0; i < 2000; ++i) {
      const std::uint64_t draw = random.bits(i);
      if (holder.count() > 40 || (draw % 3 == 0 && holder.count() > 1)) {
        char* block = holder.at(1 + draw / 3 % (holder.count() - 1));
        holder.drop(block);
      } else {
        places.push_back(holder.hold(static_cast<std::int64_t>(1 + draw % 200000)) - base);
      }
    }
    EXPECT_LE(arena.touched_bytes(), 2 * 41 * 204800);
    return places;
  };
  EXPECT_EQ(play(), play());
}

}  // namespace
}  // namespace moe
