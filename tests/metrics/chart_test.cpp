#include "metrics/chart.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

namespace moe::metrics {
namespace {

std::size_t count_of(const std::string& text, const std::string& piece) {
  std::size_t count = 0;
  for (std::size_t at = text.find(piece); at != std::string::npos; at = text.find(piece, at + 1)) {
    ++count;
  }
  return count;
}

/// Every number of the document is finite and elements are closed; enough for what we write.
void expect_sound(const std::string& svg) {
  EXPECT_TRUE(svg.starts_with("<svg "));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf"), std::string::npos);
  EXPECT_EQ(count_of(svg, "<text"), count_of(svg, "</text>"));
}

/// The y of each point of the first path.
std::vector<double> heights_of_path(const std::string& svg) {
  const std::size_t begin = svg.find("<path d=\"") + 9;
  std::string path = svg.substr(begin, svg.find('"', begin) - begin);
  std::ranges::replace_if(path, [](char letter) { return letter == 'M' || letter == 'L'; }, ' ');
  std::istringstream numbers(path);
  std::vector<double> heights;
  for (double x = 0, y = 0; numbers >> x >> y;) heights.push_back(y);
  return heights;
}

TEST(ChartTicks, AreRoundAndInside) {
  using Ticks = std::vector<double>;
  EXPECT_EQ(chart_ticks(0, 10, 5), (Ticks{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(chart_ticks(-3, 3, 6), (Ticks{-3, -2, -1, 0, 1, 2, 3}));
  EXPECT_EQ(chart_ticks(1e6, 3e6, 4), (Ticks{1e6, 1.5e6, 2e6, 2.5e6, 3e6}));
  EXPECT_TRUE(chart_ticks(1, 1, 5).empty());
  EXPECT_TRUE(chart_ticks(2, 1, 5).empty());
  EXPECT_TRUE(chart_ticks(0, std::numeric_limits<double>::infinity(), 5).empty());
  for (const double scale : {1e-9, 0.37, 1.0, 123.0, 4e12}) {
    const Ticks ticks = chart_ticks(0.31 * scale, 2.77 * scale, 6);
    EXPECT_GE(ticks.size(), 3U);
    EXPECT_LE(ticks.size(), 13U);
    EXPECT_GE(ticks.front(), 0.31 * scale);
    EXPECT_LE(ticks.back(), 2.77 * scale);
  }
}

TEST(LineChart, HasTitleLegendAndALinePerSeries) {
  const std::string svg = line_chart({{.name = "a<b", .x = {0, 1, 2}, .y = {3, 1, 2}},
                                      {.name = "dots", .x = {0, 2}, .y = {1, 2}, .markers = true}},
                                     {.title = "T & T", .x_label = "step", .y_label = "loss"});
  expect_sound(svg);
  EXPECT_EQ(count_of(svg, "<path"), 2U);
  EXPECT_EQ(count_of(svg, "<circle"), 2U);
  EXPECT_NE(svg.find("T &amp; T"), std::string::npos);
  EXPECT_NE(svg.find("a&lt;b"), std::string::npos);
}

TEST(LineChart, SurvivesEmptyConstantAndHostileSeries) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const std::vector<std::vector<ChartSeries>> rows{
      {},
      {{.x = {}, .y = {}}},
      {{.x = {1}, .y = {5}}},
      {{.x = {1, 2, 3}, .y = {0, 0, 0}}},
      {{.x = {1, 2, 3}, .y = {kNan, kNan, kNan}}},
      {{.x = {0, kNan, 2, 3}, .y = {1, 2, kInf, -kInf}, .markers = true}},
      {{.x = {-1, 0}, .y = {1, 2}}},
      {{.x = {1, 1e12}, .y = {1e-12, 1e-13}}},
  };
  for (const bool log_x : {false, true}) {
    for (const auto& series : rows) expect_sound(line_chart(series, {.title = "x", .log_x = log_x}));
  }
}

TEST(LineChart, ANonFinitePointBreaksTheLine) {
  const ChartSeries line{.x = {0, 1, 2, 3, 4}, .y = {1, 2, std::nan(""), 2, 1}};
  const std::string svg = line_chart({line}, {});
  const std::size_t path = svg.find("<path d=\"") + 9;
  EXPECT_EQ(std::ranges::count(svg.substr(path, svg.find('"', path) - path), 'M'), 2);
}

TEST(LineChart, ManyPointsStayASmallFileAndKeepTheirExtremes) {
  ChartSeries line;
  for (int i = 0; i < 100000; ++i) {
    line.x.push_back(i);
    line.y.push_back(i == 54321 ? 100.0 : std::sin(0.7 * i));
  }
  const std::string svg = line_chart({line}, {});
  EXPECT_LT(svg.size(), 80000U);
  // The one spike reaches its place: 4 % of the range below the frame's upper edge.
  const std::vector<double> heights = heights_of_path(svg);
  const double top = std::ranges::min(heights);
  EXPECT_GE(top, 64);
  EXPECT_LT(top, 64 + 0.04 * (460 - 62 - 64));
  EXPECT_GT(std::ranges::max(heights), top + 200);
}

}  // namespace
}  // namespace moe::metrics
