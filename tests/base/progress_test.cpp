#include "base/progress.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace moe {
namespace {

ProgressState state(std::int64_t done, std::int64_t total, double seconds) {
  ProgressState made;
  made.label = "read";
  made.done = done;
  made.total = total;
  made.seconds = seconds;
  return made;
}

TEST(Progress, LineSaysShareRateAndTimeLeft) {
  EXPECT_EQ(progress_line(state(25, 100, 5), false), "read  25%  25/100  5/s  ETA 15 s");
  EXPECT_EQ(progress_line(state(25, 100, 5), true), "read [#####...............]  25%  25/100  5/s  ETA 15 s");
  EXPECT_EQ(progress_line(state(100, 100, 5), false), "read 100%  100/100  20/s");
  EXPECT_EQ(progress_line(state(3, 0, 1), false), "read  3  3/s");
  EXPECT_EQ(progress_line(state(0, 0, 0), false), "read  0  0/s");
  EXPECT_EQ(progress_line(state(25, 100, 5), true, 9), "read [###");
}

TEST(Progress, TerminalRedrawsOneLineAndEndsIt) {
  std::ostringstream out;
  {
    ProgressBar bar("read", 10, ProgressUnit::Items,
                    {.out = &out, .terminal = true, .terminal_interval = 0});
    bar.update(5, "half");
    bar.update(10);
    bar.finish("done");
  }
  const std::string text = out.str();
  EXPECT_EQ(text.front(), '\r');
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_EQ(text.back(), '\n');
  EXPECT_NE(text.find("half"), std::string::npos);
}

TEST(Progress, AnAbandonedLineIsEnded) {
  std::ostringstream out;
  { ProgressBar("read", 10, ProgressUnit::Items, {.out = &out, .terminal = true, .terminal_interval = 0}).update(1); }
  EXPECT_EQ(out.str().back(), '\n');
}

TEST(Progress, FilesGetPlainLinesNowAndThen) {
  std::ostringstream out;
  ProgressBar bar("read", 10, ProgressUnit::Items, {.out = &out, .plain_interval = 3600});
  for (int i = 0; i < 10; ++i) bar.update(i);
  EXPECT_EQ(out.str(), "");
  bar.update(10);
  bar.finish();
  bar.finish();
  const std::string text = out.str();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_EQ(text.find('\r'), std::string::npos);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace moe
