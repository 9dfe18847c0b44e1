#include "metrics/trace.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "support/temporary_folder.h"

namespace moe::metrics {
namespace {

using testing::TemporaryFolder;

TEST(Trace, SpansOfManyThreadsAllArriveAndNest) {
  const TemporaryFolder folder;
  constexpr int kThreads = 4;
  constexpr int kSpans = 500;
  {
    Trace trace(folder / "trace.json", 3);
    ASSERT_TRUE(trace.enabled());
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&trace] {
        trace.name_thread("worker \"x\"");
        for (int i = 0; i < kSpans; ++i) {
          const TraceSpan outer = trace.span("outer");
          const TraceSpan inner = trace.span("inner");
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    trace.counter("loss", 2.5);
  }
  const auto events = nlohmann::json::parse(read_file(folder / "trace.json"));
  std::map<std::string, int> count;
  std::map<int, double> last_inner_end;
  for (const auto& event : events) {
    const std::string name = event["name"];
    ++count[name];
    EXPECT_EQ(event["pid"], 3);
    if (name == "inner") last_inner_end[event["tid"]] = event["ts"].get<double>() + event["dur"].get<double>();
    if (name == "outer") {
      const double start = event["ts"];
      const double end = start + event["dur"].get<double>();
      // Times have three decimals, so an end may be off by a rounding of each term.
      constexpr double kRounding = 2e-3;
      EXPECT_GE(end + kRounding, last_inner_end.at(event["tid"]));
      EXPECT_GE(start, 0);
    }
    if (name == "loss") {
      EXPECT_EQ(event["args"]["value"], 2.5);
    }
  }
  EXPECT_EQ(count["inner"], kThreads * kSpans);
  EXPECT_EQ(count["outer"], kThreads * kSpans);
  EXPECT_EQ(count["thread_name"], kThreads);
  EXPECT_EQ(count["process_name"], 1);
  EXPECT_EQ(last_inner_end.size(), static_cast<std::size_t>(kThreads));
}

TEST(Trace, ADisabledOneDoesNothing) {
  Trace trace;
  EXPECT_FALSE(trace.enabled());
  {
    TraceSpan span = trace.span("nothing");
    const TraceSpan moved = std::move(span);
  }
  trace.counter("x", 1);
  trace.name_thread("x");
  trace.close();
}

TEST(Trace, AMovedSpanIsRecordedOnceAndALateOneDropped) {
  const TemporaryFolder folder;
  Trace trace(folder / "trace.json", 0);
  {
    TraceSpan span = trace.span("once");
    const TraceSpan moved = std::move(span);
  }
  {
    const TraceSpan late = trace.span("late");
    trace.close();
  }
  trace.close();
  const std::string text = read_file(folder / "trace.json");
  int once = 0;
  for (const auto& event : nlohmann::json::parse(text)) once += event["name"] == "once";
  EXPECT_EQ(once, 1);
  EXPECT_EQ(text.find("late"), std::string::npos);
}

TEST(Trace, ReplacesTheTimelineOfAnEarlierRun) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "trace.json", "old");
  Trace(folder / "trace.json", 0).close();
  EXPECT_EQ(nlohmann::json::parse(read_file(folder / "trace.json")).size(), 1U);
}

TEST(Trace, APathThatCannotBeWrittenIsAWarning) {
  const TemporaryFolder folder;
  ::testing::internal::CaptureStderr();
  Trace trace(folder / "absent" / "trace.json", 0);
  { const TraceSpan span = trace.span("x"); }
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("no timeline"), std::string::npos);
  EXPECT_FALSE(trace.enabled());
}

}  // namespace
}  // namespace moe::metrics
