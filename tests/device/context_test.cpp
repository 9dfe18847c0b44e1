#include "device/context.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/error.h"

namespace moe {
namespace {

TEST(Context, NoneIsCurrentAtFirst) { EXPECT_THROW(current_context(), InternalError); }

TEST(Context, ScopesNest) {
  DeviceContext outer(1, CpuIsa::Avx2);
  DeviceContext inner(2, CpuIsa::Avx2);
  {
    const ContextScope outer_scope(outer);
    EXPECT_EQ(&current_context(), &outer);
    {
      const ContextScope inner_scope(inner);
      EXPECT_EQ(&current_context(), &inner);
    }
    EXPECT_EQ(&current_context(), &outer);
  }
  EXPECT_THROW(current_context(), InternalError);
}

TEST(Context, EachThreadHasItsOwn) {
  DeviceContext mine(1, CpuIsa::Avx2);
  const ContextScope scope(mine);
  std::thread([&mine] {
    EXPECT_THROW(current_context(), InternalError);
    DeviceContext other(1, CpuIsa::Avx2);
    const ContextScope other_scope(other);
    EXPECT_NE(&current_context(), &mine);
  }).join();
  EXPECT_EQ(&current_context(), &mine);
}

TEST(Context, CarriesItsSettings) {
  DeviceContext context(2, CpuIsa::Avx512, 12345);
  EXPECT_EQ(context.stream.pool().threads(), 2);
  EXPECT_EQ(context.stream.isa(), CpuIsa::Avx512);
  EXPECT_EQ(to_string(context.stream.device()), "cpu");
  EXPECT_THROW(context.allocator.allocate(12346, MemoryCategory::Workspace), OutOfMemory);
  EXPECT_EQ(to_string(Device{DeviceType::Cuda, 3}), "cuda:3");
}

}  // namespace
}  // namespace moe
