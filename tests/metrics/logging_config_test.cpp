#include "metrics/logging_config.h"

#include <gtest/gtest.h>

#include <set>

#include "metrics/sink_registry.h"

namespace moe::metrics {
namespace {

TEST(LoggingConfig, EverySinkIsOnByDefault) {
  const LoggingConfig config;
  for (const SinkEntry& entry : sink_registry()) EXPECT_TRUE(config.writes(entry.name));
  EXPECT_FALSE(config.writes("pigeon"));
}

TEST(LoggingConfig, TellsOfTheFirstStepAndEveryIntervalAfter) {
  LoggingConfig config;
  config.interval = 10;
  std::set<std::int64_t> due;
  for (std::int64_t step = 1; step <= 25; ++step) {
    if (config.due(step)) due.insert(step);
  }
  EXPECT_EQ(due, (std::set<std::int64_t>{1, 10, 20}));
}

}  // namespace
}  // namespace moe::metrics
