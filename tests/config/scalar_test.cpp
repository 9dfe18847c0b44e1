#include "config/scalar.h"

#include <gtest/gtest.h>

#include <limits>

namespace moe::config {
namespace {

TEST(Scalar, ReadsIntegers) {
  const struct {
    const char* text;
    std::int64_t value;
  } good[] = {{"0", 0},
              {"-0", 0},
              {"7", 7},
              {"-12", -12},
              {"9223372036854775807", std::numeric_limits<std::int64_t>::max()},
              {"-9223372036854775808", std::numeric_limits<std::int64_t>::min()}};
  for (const auto& row : good) EXPECT_EQ(parse_integer(row.text).value, row.value) << row.text;
  for (const char* bad : {"", "-", "+1", "00", "01", "-01", "1 ", " 1", "1.0", "1e1", "0b1", "1_0",
                          "a", "١", "1-", "--1", "9223372036854775808"}) {
    EXPECT_FALSE(parse_integer(bad).value.has_value()) << bad;
  }
}

TEST(Scalar, ReadsNumbers) {
  const struct {
    const char* text;
    double value;
  } good[] = {{"0", 0.0},      {"1", 1.0},         {"-1.5", -1.5},     {"1e-4", 1e-4},
              {"1E4", 1e4},    {"1.25e+2", 125.0}, {"4096.0", 4096.0}, {"0.1", 0.1},
              {"1e-04", 1e-4}, {"5e-324", 5e-324}};
  for (const auto& row : good) EXPECT_EQ(parse_number(row.text).value, row.value) << row.text;
  for (const char* bad : {"",    "-",    ".",   ".5",    "5.",     "+1",     "01.5",
                          "1e",  "1e+",  "e5",  "1.e5",  "1_0.5",  "nan",    ".inf",
                          "0x1", "1.5f", "1,5", "1e400", "-1e400", "1e-400", "infinity"}) {
    EXPECT_FALSE(parse_number(bad).value.has_value()) << bad;
  }
}

TEST(Scalar, HintsAtWhatWasMeant) {
  const struct {
    const char* text;
    const char* integer;
    const char* number;
  } rows[] = {{"010", "write 10", "write 10"},
              {"+5", "write 5", "write 5"},
              {"-007", "write -7", "write -7"},
              {"1_000_000", "write 1000000", "write 1000000"},
              {".5", "", "write 0.5"},
              {"-.5", "", "write -0.5"},
              {"5.", "write 5", "write 5.0"},
              {"5.e3", "write 5000", "write 5.0e3"},
              {"1e3000", "", ""},
              {"hello", "", ""},
              {"_", "", ""}};
  for (const auto& row : rows) {
    EXPECT_EQ(parse_integer(row.text).hint, row.integer) << row.text;
    EXPECT_EQ(parse_number(row.text).hint, row.number) << row.text;
  }
}

TEST(Scalar, QuotesWhatCouldBeTakenForSomethingElse) {
  for (const char* plain :
       {"adamw", "runs/quick-start_1.bin", "./a", "../a", "/a", "_x", "a1", "a+b"}) {
    EXPECT_EQ(text_scalar(plain), plain);
  }
  for (const char* doubtful : {"", "1", "1a", "-a", ".5", ".", "..", "true", "NO", "null", "~",
                               "a b", "a:", "#a", "é", "Infinity", "y"}) {
    EXPECT_EQ(text_scalar(doubtful).front(), '"') << doubtful;
  }
}

}  // namespace
}  // namespace moe::config
