#include "metrics/escape.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace moe::metrics {
namespace {

TEST(JsonNumber, StaysAFloatAndBecomesNullWhereJsonHasNoWord) {
  using Limits = std::numeric_limits<double>;
  const std::pair<double, const char*> rows[] = {
      {0, "0.0"},        {-0.0, "-0.0"},   {5, "5.0"},
      {0.1, "0.1"},      {1e300, "1e+300"}, {Limits::denorm_min(), "5e-324"},
      {Limits::quiet_NaN(), "null"}, {Limits::infinity(), "null"}, {-Limits::infinity(), "null"},
  };
  for (const auto& [value, text] : rows) EXPECT_EQ(json_number(value), text);
  EXPECT_TRUE(std::signbit(nlohmann::json::parse(json_number(-0.0)).get<double>()));
}

TEST(JsonString, ReadsBack) {
  for (const std::string text : {"", "plain", "\"quoted\"", "back\\slash", "tab\tline\nbell\x07",
                                 "Gr\xc3\xbc\xc3\x9f" "e"}) {
    EXPECT_EQ(nlohmann::json::parse(json_string(text)).get<std::string>(), text);
  }
}

TEST(XmlText, EscapesMarkupAndControlCharacters) {
  EXPECT_EQ(xml_text("a<b> & \"c\"\n"), "a&lt;b&gt; &amp; &quot;c&quot; ");
  EXPECT_EQ(xml_text(""), "");
}

}  // namespace
}  // namespace moe::metrics
