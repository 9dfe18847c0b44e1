#include "metrics/expert_load.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace moe::metrics {
namespace {

struct Row {
  const char* name;
  std::vector<std::int64_t> routed;
  double max_over_mean;
  double min_over_mean;
  std::int64_t dead;
};

TEST(ExpertLoad, LoadOfEachKindOfRouting) {
  const std::vector<Row> rows{
      {"balanced", {5, 5, 5, 5}, 1, 1, 0},
      {"all to one", {0, 12, 0, 0}, 4, 0, 3},
      {"one dead", {6, 0, 6, 4}, 1.5, 0, 1},
      {"single expert", {7}, 1, 1, 0},
      {"one route over three", {0, 0, 1}, 3, 0, 2},
      {"nothing routed", {0, 0}, 0, 0, 2},
      {"no experts", {}, 0, 0, 0},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const ExpertLoad load = expert_load({.layer = 3, .routed_E = row.routed});
    EXPECT_EQ(load.layer, 3);
    EXPECT_EQ(load.experts, std::ssize(row.routed));
    EXPECT_DOUBLE_EQ(load.max_over_mean, row.max_over_mean);
    EXPECT_DOUBLE_EQ(load.min_over_mean, row.min_over_mean);
    EXPECT_EQ(load.dead_experts, row.dead);
    EXPECT_EQ(load.dropped_share, 0);
  }
}

TEST(ExpertLoad, SharesSumToOneAndFollowTheCounts) {
  const ExpertLoad load = expert_load({.routed_E = {1, 2, 5}, .dropped = 2});
  EXPECT_EQ(load.share_E, (std::vector<double>{1.0 / 8, 2.0 / 8, 5.0 / 8}));
  EXPECT_DOUBLE_EQ(load.dropped_share, 0.25);
}

TEST(ExpertLoad, EntropyIsAMeanOverTokensAndItsShareIsOfLnE) {
  const ExpertLoad load =
      expert_load({.routed_E = {1, 1, 1, 1}, .tokens = 10, .entropy_sum = 10 * std::log(4.0)});
  EXPECT_DOUBLE_EQ(load.entropy, std::log(4.0));
  EXPECT_DOUBLE_EQ(load.entropy_share, 1.0);
  EXPECT_DOUBLE_EQ(expert_load({.routed_E = {4}, .tokens = 4}).entropy_share, 1.0);
}

TEST(ExpertLoad, WindowsAddUp) {
  RoutingCounts window{.layer = 1};
  window.add({.layer = 1, .routed_E = {3, 0}, .dropped = 1, .tokens = 3, .entropy_sum = 0.5});
  window.add({.layer = 1, .routed_E = {0, 4}, .dropped = 0, .tokens = 4, .entropy_sum = 1.0});
  EXPECT_EQ(window.routed_E, (std::vector<std::int64_t>{3, 4}));
  EXPECT_EQ(window.dropped, 1);
  EXPECT_EQ(window.tokens, 7);
  EXPECT_DOUBLE_EQ(window.entropy_sum, 1.5);
  EXPECT_EQ(expert_load(window).dead_experts, 0);
  EXPECT_THROW(window.add({.layer = 2, .routed_E = {1, 1}}), InternalError);
  EXPECT_THROW(window.add({.layer = 1, .routed_E = {1, 1, 1}}), InternalError);
}

TEST(ExpertLoadReport, TableHasARowPerLayerAndWrapsManyExperts) {
  const ExpertLoadReport report({
      expert_load({.layer = 0, .routed_E = {1, 3}, .tokens = 4, .entropy_sum = 2}),
      expert_load({.layer = 2, .routed_E = std::vector<std::int64_t>(20, 1)}),
  });
  const std::string table = report.table();
  EXPECT_EQ(std::ranges::count(table, '\n'), 4);  // heading, layer 0, layer 2 on two lines
  EXPECT_NE(table.find("    0           1.50      0.50    0.00%    0.500    0.72     0   25.0 75.0\n"),
            std::string::npos)
      << table;
  // Shares start under their heading.
  const std::size_t heading = table.find("routes per expert");
  const std::size_t last_line = table.rfind('\n', table.size() - 2) + 1;
  EXPECT_EQ(table.find_first_not_of(' ', last_line) - last_line, heading + 1);
  EXPECT_EQ(ExpertLoadReport({}).table(), "No layer has experts.\n");
}

TEST(ExpertLoadReport, JsonReadsBack) {
  const ExpertLoadReport report({
      expert_load({.layer = 4, .routed_E = {0, 3}, .dropped = 1, .tokens = 3, .entropy_sum = 1}),
      expert_load({.layer = 5, .routed_E = {2, 2}, .tokens = 0,
                   .entropy_sum = std::numeric_limits<double>::quiet_NaN()}),
  });
  const auto json = nlohmann::json::parse(report.json());
  EXPECT_EQ(json["dead_experts"], 1);
  EXPECT_EQ(json["load_max_over_mean"], 2.0);
  EXPECT_EQ(json["dropped_share"], report.dropped_share());
  ASSERT_EQ(json["layers"].size(), 2U);
  EXPECT_EQ(json["layers"][0]["layer"], 4);
  EXPECT_EQ(json["layers"][0]["share"], (std::vector<double>{0, 1}));
  EXPECT_EQ(json["layers"][0]["dropped_share"].get<double>(), 1.0 / 3);
  EXPECT_EQ(nlohmann::json::parse(ExpertLoadReport({}).json())["layers"].size(), 0U);
}

}  // namespace
}  // namespace moe::metrics
