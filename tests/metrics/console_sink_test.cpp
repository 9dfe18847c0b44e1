#include <gtest/gtest.h>

#include <sstream>

#include "metrics/metric_sink.h"
#include "metrics/records.h"
#include "metrics/sink_registry.h"

namespace moe::metrics {
namespace {

using testing::record_of;

SinkContext context_of(std::ostream& console, const char* progress) {
  SinkContext context;
  context.total_steps = 4;
  context.console = &console;
  context.config.progress = progress;
  return context;
}

TEST(ConsoleSink, AFileGetsPlainLines) {
  std::ostringstream console;
  const auto sink = make_console_sink(context_of(console, "auto"));
  sink->write(record_of(1));
  sink->message("saved step 1");
  sink->close();
  EXPECT_EQ(console.str().find_first_of("\r\x1b"), std::string::npos);
  EXPECT_EQ(console.str().substr(console.str().size() - 14), "\nsaved step 1\n");
}

/// What a screen shows after these bytes: lines, and the line the cursor is in.
std::vector<std::string> screen(const std::string& bytes) {
  std::vector<std::string> lines{""};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes.compare(i, 4, "\r\x1b[K") == 0) {
      lines.back().clear();
      i += 3;
    } else if (bytes[i] == '\n') {
      lines.emplace_back();
    } else {
      lines.back() += bytes[i];
    }
  }
  return lines;
}

TEST(ConsoleSink, OnATerminalTheBarStaysBelowTheLines) {
  std::ostringstream console;
  const auto sink = make_console_sink(context_of(console, "always"));
  sink->write(record_of(1));
  sink->write(record_of(2));
  sink->message("saved step 2");
  const std::vector<std::string> lines = screen(console.str());
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_TRUE(lines[0].starts_with("step 1/4"));
  EXPECT_TRUE(lines[1].starts_with("step 2/4"));
  EXPECT_EQ(lines[2], "saved step 2");
  EXPECT_TRUE(lines[3].starts_with("[====")) << lines[3];
  sink->close();
  EXPECT_EQ(screen(console.str()).back(), "");
}

TEST(ConsoleSink, TheLastStepTakesTheBarAway) {
  std::ostringstream console;
  const auto sink = make_console_sink(context_of(console, "always"));
  sink->write(record_of(3));
  sink->write(record_of(4));
  const std::vector<std::string> lines = screen(console.str());
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[2], "");
}

TEST(ConsoleSink, AClosedStreamIsReported) {
  std::ostringstream console;
  const auto sink = make_console_sink(context_of(console, "never"));
  console.setstate(std::ios::badbit);
  EXPECT_ANY_THROW(sink->write(record_of(1)));
}

}  // namespace
}  // namespace moe::metrics
