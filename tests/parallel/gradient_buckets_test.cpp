#include "parallel/gradient_buckets.h"

#include <gtest/gtest.h>

namespace moe::parallel {
namespace {

using Buckets = std::vector<std::size_t>;

TEST(GradientBuckets, FillUpFromTheLastWindow) {
  const GradientWindow windows[] = {{0, 4}, {0, 3}, {0, 5}, {0, 2}};
  EXPECT_EQ(cut_into_buckets(windows, 7), (Buckets{1, 1, 0, 0}));
  EXPECT_EQ(cut_into_buckets(windows, 100), (Buckets{0, 0, 0, 0}));
}

TEST(GradientBuckets, AWindowLargerThanTheLimitStandsAlone) {
  const GradientWindow windows[] = {{0, 1}, {0, 50}, {0, 1}};
  EXPECT_EQ(cut_into_buckets(windows, 7), (Buckets{2, 1, 0}));
  EXPECT_EQ(cut_into_buckets(windows, 0), (Buckets{2, 1, 0}));
}

TEST(GradientBuckets, KindsDoNotShare) {
  const GradientWindow windows[] = {{0, 2}, {1, 2}, {0, 2}, {1, 2}, {0, 2}};
  EXPECT_EQ(cut_into_buckets(windows, 4), (Buckets{2, 1, 0, 1, 0}));
}

TEST(GradientBuckets, NoWindowsNoBuckets) { EXPECT_TRUE(cut_into_buckets({}, 4).empty()); }

TEST(GradientBuckets, WindowsBeginOnCacheLines) {
  EXPECT_EQ(padded_elements(0), 0);
  EXPECT_EQ(padded_elements(1), 16);
  EXPECT_EQ(padded_elements(16), 16);
  EXPECT_EQ(padded_elements(17), 32);
}

}  // namespace
}  // namespace moe::parallel
