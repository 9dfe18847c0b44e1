#include "base/log.h"

#include <gtest/gtest.h>

namespace moe {
namespace {

TEST(Log, WritesOneLineToStandardErrorAndNeverFormatsTheMessage) {
  ::testing::internal::CaptureStderr();
  log_warning("50 {} of {1} %s");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "warning: 50 {} of {1} %s\n");
}

TEST(Log, TheLevelDropsLinesAndThePrefixNamesTheRank) {
  ::testing::internal::CaptureStderr();
  log_debug("below the default");
  set_log_level(LogLevel::Error);
  log_warning("below error");
  set_log_prefix("[3] ");
  log_error("shown");
  set_log_level(LogLevel::Info);
  set_log_prefix("");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "[3] error: shown\n");
}

}  // namespace
}  // namespace moe
