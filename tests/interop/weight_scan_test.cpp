#include "interop/weight_scan.h"

#include <gtest/gtest.h>

#include <cmath>

#include "checkpoint/memory_source.h"

namespace moe::interop {
namespace {

TEST(CountNonFinite, CountsNanAndInfinityInEveryFloat) {
  const std::vector<double> values{0, NAN, INFINITY, -INFINITY, 1e4, -0.0};
  checkpoint::MemorySource source;
  for (const DType dtype : {DType::F32, DType::BF16, DType::F16, DType::F64}) {
    source.add("w", Shape{2, 3}, dtype, values);
    EXPECT_EQ(count_non_finite(source, "w"), 3) << to_string(dtype);
  }
  source.add("i", Shape{1}, DType::I64, std::vector<double>{1});
  source.add("none", Shape{0}, DType::F32, {});
  EXPECT_EQ(count_non_finite(source, "i"), 0);
  EXPECT_EQ(count_non_finite(source, "none"), 0);
}

TEST(CountNonFinite, SeesTheLastElementOfManyWindows) {
  std::vector<double> values((std::size_t{1} << 20) + 3, 1.0);
  values.back() = NAN;
  checkpoint::MemorySource source;
  source.add("w", Shape{static_cast<std::int64_t>(values.size())}, DType::F32, values);
  EXPECT_EQ(count_non_finite(source, "w"), 1);
}

}  // namespace
}  // namespace moe::interop
