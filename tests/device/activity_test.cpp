#include "device/activity.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "base/clock.h"

namespace moe {
namespace {

using ::testing::ElementsAre;

class Watcher final : public ActivityObserver {
 public:
  void ended(const Activity& activity) override {
    seen.push_back(std::string(activity.part == nullptr ? "" : activity.part) + ":" + activity.family + ":" +
                   activity.name);
    EXPECT_LE(activity.start, activity.end);
  }
  std::vector<std::string> seen;
};

TEST(Activity, NobodyIsToldWithoutAnObserver) {
  Stream stream(1, CpuIsa::Avx2);
  Watcher watcher;
  { const ActivitySpan span(stream, "gemm", "gemm"); }
  stream.observe(&watcher);
  stream.observe(nullptr);
  { const ActivitySpan span(stream, "gemm", "gemm"); }
  EXPECT_TRUE(watcher.seen.empty());
}

TEST(Activity, OnlyTheOutermostSpanIsTold) {
  Stream stream(1, CpuIsa::Avx2);
  Watcher watcher;
  stream.observe(&watcher);
  {
    const ActivitySpan outer(stream, "gemm", "grouped_gemm");
    const ActivitySpan inner(stream, "gemm", "gemm");
  }
  { const ActivitySpan next(stream, "norm", "rms_norm"); }
  EXPECT_THAT(watcher.seen, ElementsAre(":gemm:grouped_gemm", ":norm:rms_norm"));
}

TEST(Activity, PartsNestAndEnd) {
  Stream stream(1, CpuIsa::Avx2);
  Watcher watcher;
  stream.observe(&watcher);
  {
    const ActivityPart head(stream, "lm_head");
    { const ActivitySpan span(stream, "gemm", "gemm"); }
    {
      const ActivityPart inner(stream, "inner");
      const ActivitySpan span(stream, "gemm", "gemm");
    }
    { const ActivitySpan span(stream, "loss", "cross_entropy"); }
  }
  { const ActivitySpan span(stream, "gemm", "gemm"); }
  EXPECT_THAT(watcher.seen,
              ElementsAre("lm_head:gemm:gemm", "inner:gemm:gemm", "lm_head:loss:cross_entropy", ":gemm:gemm"));
}

TEST(Activity, AnObserverThatLeavesDuringASpanIsNotTold) {
  Stream stream(1, CpuIsa::Avx2);
  Watcher watcher;
  stream.observe(&watcher);
  {
    const ActivitySpan span(stream, "gemm", "gemm");
    stream.observe(nullptr);
  }
  stream.observe(&watcher);
  { const ActivitySpan span(stream, "gemm", "gemm"); }
  EXPECT_THAT(watcher.seen, ElementsAre(":gemm:gemm"));
}

}  // namespace
}  // namespace moe
