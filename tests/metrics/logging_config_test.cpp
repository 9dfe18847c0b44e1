#include "metrics/logging_config.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/error.h"
#include "config/decode.h"
#include "config/print.h"
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

TEST(LoggingConfig, DecodesAndPrintsEachSinkAsAKeyOfItsOwn) {
  const auto decoded = [](const std::string& text) {
    return config::decode<LoggingConfig>(config::Document::parse(text, "run.yaml"));
  };
  const LoggingConfig config = decoded("interval: 5\ntensorboard: false\nprogress: never\nprofile: true\n");
  EXPECT_EQ(config.interval, 5);
  EXPECT_TRUE(config.writes("console"));
  EXPECT_FALSE(config.writes("tensorboard"));
  EXPECT_EQ(config.progress, "never");
  EXPECT_TRUE(config.profile);
  const LoggingConfig again = decoded(config::print_yaml(config));
  EXPECT_EQ(again.sinks, config.sinks);
  EXPECT_EQ(again.flush_seconds, config.flush_seconds);
  for (const char* wrong : {"interval: 0", "console: 1", "progress: sometimes", "flush_seconds: -1",
                            "wandb: true"}) {
    EXPECT_THROW(decoded(wrong), ConfigError) << wrong;
  }
}

}  // namespace
}  // namespace moe::metrics
