#include "base/format.h"

#include <gtest/gtest.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/random.h"

namespace moe {
namespace {

using Limits = std::numeric_limits<double>;

TEST(WithThousands, GroupsDigitsOfAnyInteger) {
  const std::pair<std::int64_t, const char*> rows[] = {
      {0, "0"},
      {7, "7"},
      {999, "999"},
      {1000, "1,000"},
      {12345, "12,345"},
      {1234567, "1,234,567"},
      {-1, "-1"},
      {-999, "-999"},
      {-1000, "-1,000"},
      {-123456, "-123,456"},
      {std::numeric_limits<std::int64_t>::max(), "9,223,372,036,854,775,807"},
      {std::numeric_limits<std::int64_t>::min(), "-9,223,372,036,854,775,808"},
  };
  for (const auto& [value, text] : rows) EXPECT_EQ(with_thousands(value), text);
}

TEST(HumanCount, ChoosesTheSuffixAfterRounding) {
  const std::pair<double, const char*> rows[] = {
      {0, "0"},          {1, "1"},           {512, "512"},         {999, "999"},
      {999.6, "1.00 K"}, {1000, "1.00 K"},   {29.24e6, "29.24 M"}, {104.74e9, "104.74 B"},
      {999994, "999.99 K"}, {999996, "1.00 M"}, {2.5e12, "2.50 T"},   {5e15, "5000.00 T"},
      {-1500, "-1.50 K"},
  };
  for (const auto& [value, text] : rows) EXPECT_EQ(human_count(value), text);
}

TEST(HumanBytes, UsesPowersOf1024) {
  const std::pair<double, const char*> rows[] = {
      {0, "0 B"},      {12, "12 B"},        {1023, "1023 B"},       {1024, "1.00 KiB"},
      {1536, "1.50 KiB"}, {0x1.0p20, "1.00 MiB"}, {3.95 * 0x1.0p30, "3.95 GiB"},
      {0x1.0p20 - 1, "1.00 MiB"}, {0x1.0p41, "2.00 TiB"},
  };
  for (const auto& [value, text] : rows) EXPECT_EQ(human_bytes(value), text);
}

TEST(HumanDuration, ReadsLikeAClock) {
  const std::pair<double, const char*> rows[] = {
      {0, "0 s"},          {0.4, "0 s"},        {12, "12 s"},       {59.6, "1:00"},
      {245, "4:05"},       {3599.7, "1:00:00"}, {3723, "1:02:03"},  {360000, "100:00:00"},
      {-1, "unknown"},     {1e300, "unknown"},  {Limits::infinity(), "unknown"},
      {Limits::quiet_NaN(), "unknown"},
  };
  for (const auto& [seconds, text] : rows) EXPECT_EQ(human_duration(seconds), text);
}

TEST(FormatShape, ListsDims) {
  EXPECT_EQ(format_shape({}), "[]");
  EXPECT_EQ(format_shape(std::vector<std::int64_t>{5}), "[5]");
  EXPECT_EQ(format_shape(std::vector<std::int64_t>{2, 0, 4}), "[2, 0, 4]");
}

TEST(ExactNumber, EveryDoubleReadsBack) {
  const Random random(3, "exact");
  for (std::uint64_t i = 0; i < 10000; ++i) {
    std::uint64_t bits = random.bits(i);
    if (i % 4 == 0) bits &= ~(std::uint64_t{0x7ff} << 52);  // denormals too
    const auto value = std::bit_cast<double>(bits);
    if (!std::isfinite(value)) continue;
    const std::string text = exact_number(value);
    double back = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), back);
    ASSERT_EQ(result.ptr, text.data() + text.size()) << text;
    ASSERT_EQ(std::bit_cast<std::uint64_t>(back), bits) << text;
  }
}

TEST(ExactNumber, IsShort) {
  const std::pair<double, const char*> rows[] = {
      {0, "0"},     {0.1, "0.1"},     {3e-4, "3e-04"},         {-2.5, "-2.5"},
      {1e22, "1e+22"}, {Limits::quiet_NaN(), "nan"}, {Limits::infinity(), "inf"},
      {-Limits::infinity(), "-inf"},
  };
  for (const auto& [value, text] : rows) EXPECT_EQ(exact_number(value), text);
}

TEST(NearestName, FindsTheTypingMistakeOnly) {
  const std::vector<std::string> names{"learning_rate", "weight_decay", "beta1", "beta2", "name"};
  const std::pair<const char*, const char*> rows[] = {
      {"learning_rat", "learning_rate"}, {"lerning_rate", "learning_rate"},
      {"weigth_decay", "weight_decay"},  {"nmae", "name"},
      {"beta2", "beta2"},                {"beta3", "beta1"},  // the first of equals
      {"completely_different", ""},      {"", ""},
  };
  for (const auto& [word, nearest] : rows) EXPECT_EQ(nearest_name(word, names), nearest) << word;
  EXPECT_EQ(nearest_name("x", {}), "");
}

}  // namespace
}  // namespace moe
