#include "base/clock.h"

#include <gtest/gtest.h>

namespace moe {
namespace {

TEST(Clock, MonotonicTimeNeverGoesBack) {
  double last = monotonic_seconds();
  for (int i = 0; i < 10000; ++i) {
    const double now = monotonic_seconds();
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST(Clock, WallTimeIsAfterTheYear2020) { EXPECT_GT(wall_seconds(), 1.5778e9); }

TEST(Stopwatch, CountsFromItsRestart) {
  Stopwatch watch;
  const double before = watch.seconds();
  EXPECT_GE(before, 0);
  EXPECT_GE(watch.seconds(), before);
  const double start = monotonic_seconds();
  watch.restart();
  const double counted = watch.seconds();
  EXPECT_LE(counted, monotonic_seconds() - start);
}

}  // namespace
}  // namespace moe
