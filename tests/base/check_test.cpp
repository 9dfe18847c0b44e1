#include "base/check.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "base/error.h"

namespace moe {
namespace {

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const InternalError& error) {
    EXPECT_EQ(error.exit_code(), 134);
    return error.what();
  }
  return "";
}

TEST(Check, SaysConditionPlaceAndBothValues) {
  const std::string plain = message_of([] { MOE_CHECK(1 + 1 == 3); });
  for (const char* piece : {"1 + 1 == 3", "check_test.cpp:", "this is a bug"}) {
    EXPECT_NE(plain.find(piece), std::string::npos) << plain;
  }
  const int left = 4;
  EXPECT_NE(message_of([&] { MOE_CHECK_EQ(left, 5); }).find("left is 4, right is 5"),
            std::string::npos);
}

TEST(Check, PassesQuietlyAndEvaluatesOnce) {
  int evaluated = 0;
  MOE_CHECK_EQ(++evaluated, 1);
  MOE_CHECK(++evaluated == 2);
  EXPECT_EQ(evaluated, 2);
  EXPECT_EQ(message_of([] {
              MOE_CHECK_LT(1, 2);
              MOE_CHECK_LE(2, 2);
              MOE_CHECK_GE(2, 2);
              MOE_CHECK_NE(1, 2);
            }),
            "");
  EXPECT_NE(message_of([] { MOE_CHECK_LT(2, 2); }), "");
  EXPECT_NE(message_of([] { MOE_CHECK_NE(2, 2); }), "");
}

TEST(Error, ExitCodesAreTheDocumentedOnes) {
  EXPECT_EQ(ConfigError("").exit_code(), 64);
  EXPECT_EQ(ShapeError("").exit_code(), 65);
  EXPECT_EQ(DTypeError("").exit_code(), 65);
  EXPECT_EQ(DataError("").exit_code(), 66);
  EXPECT_EQ(CheckpointError("").exit_code(), 66);
  EXPECT_EQ(DeviceError("").exit_code(), 70);
  EXPECT_EQ(OutOfMemory("").exit_code(), 71);
  EXPECT_EQ(CapacityError("").exit_code(), 71);
  EXPECT_EQ(CommError("").exit_code(), 75);
  EXPECT_EQ(NumericalError("").exit_code(), 76);
  EXPECT_EQ(kExitPreempted, 85);
}

}  // namespace
}  // namespace moe
