#include "kernels/common/scratch.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>

namespace moe::kernels {
namespace {

bool aligned(const Scratch& scratch) {
  return reinterpret_cast<std::uintptr_t>(scratch.as<char>()) % 64 == 0;
}

TEST(Scratch, GivesAlignedMemoryThatDoesNotOverlapWhileItLives) {
  const Scratch outer(1000);
  std::memset(outer.as<char>(), 1, 1000);
  for (const std::int64_t bytes : {0, 1, 63, 64, 1 << 20}) {
    const Scratch inner(bytes);
    EXPECT_TRUE(aligned(inner));
    std::memset(inner.as<char>(), 2, static_cast<std::size_t>(bytes));
    const Scratch innermost(bytes);
    std::memset(innermost.as<char>(), 3, static_cast<std::size_t>(bytes));
    for (std::int64_t i = 0; i < bytes; ++i) ASSERT_EQ(inner.as<char>()[i], 2);
  }
  for (std::int64_t i = 0; i < 1000; ++i) ASSERT_EQ(outer.as<char>()[i], 1);
}

TEST(Scratch, KeepsItsMemoryBetweenCalls) {
  const void* first = nullptr;
  {
    const Scratch scratch(1 << 16);
    first = scratch.as<void>();
  }
  const Scratch again(1 << 10);
  EXPECT_EQ(again.as<void>(), first);
}

TEST(Scratch, ServesMoreThanItKeeps) {
  const Scratch large((std::int64_t{64} << 20) + 1);
  EXPECT_TRUE(aligned(large));
  large.as<char>()[std::int64_t{64} << 20] = 7;
}

}  // namespace
}  // namespace moe::kernels
