// Flags of moe-train that only tell something.
#include "programs/programs.h"

namespace moe::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(PrintConfig, PrintsItselfWhenFedBack) {
  const Workplace place;
  place.write("small.yaml", small_config());
  const Outcome first = place.run("moe-train small.yaml training.steps=7 output='a b' --print-config");
  ASSERT_EQ(first.code, 0) << first.all();
  EXPECT_THAT(first.output, HasSubstr("steps: 7"));
  place.write("resolved.yaml", first.output);
  const Outcome second = place.run("moe-train resolved.yaml --print-config");
  EXPECT_EQ(second.code, 0) << second.all();
  EXPECT_EQ(second.output, first.output);
}

TEST(DryRun, TellsThePlanAndTouchesNothing) {
  const Workplace place;
  place.write("small.yaml", small_config());
  const Outcome told = place.run("moe-train small.yaml --dry-run");
  ASSERT_EQ(told.code, 0) << told.all();
  for (const char* part : {"mesh: 1 ranks", "parameters: ", "active", "FLOPs per token", "memory per rank"}) {
    EXPECT_THAT(told.output, HasSubstr(part));
  }
  EXPECT_FALSE(place.exists("runs"));
}

TEST(DryRun, CountsParametersAsByHand) {
  const Workplace place;
  place.write("small.yaml", small_config());
  const Outcome told = place.run("moe-train small.yaml --dry-run --json --ranks 2");
  ASSERT_EQ(told.code, 0) << told.all();
  const auto json = nlohmann::json::parse(told.output);
  const int attention = 32 * 32 + 2 * 16 * 32 + 32 * 32;
  const int expert = 3 * 32 * 48;
  const int layer = attention + 2 * 32 + 4 * 32;
  const int around = 2 * 260 * 32 + 32;
  EXPECT_EQ(json.at("parameters").at("total"), around + 2 * (layer + 4 * expert));
  EXPECT_EQ(json.at("parameters").at("active"), around + 2 * (layer + 2 * expert));
  EXPECT_EQ(json.at("mesh").at("ranks"), 2);
  EXPECT_EQ(json.at("tokens"), 12 * 4 * 32);
  EXPECT_GT(json.at("memory_per_rank").at("total"), 0);
}

TEST(DryRun, TellsOnceOnTwoRanks) {
  const Workplace place;
  place.write("small.yaml", small_config());
  const Outcome told = place.run("moe-train small.yaml --dry-run parallel.expert=2", 2);
  ASSERT_EQ(told.code, 0) << told.all();
  EXPECT_EQ(count(told.output, "mesh: 2 ranks, data 2, expert 2"), 1);
}

class EveryProgram : public ::testing::TestWithParam<const char*> {};

TEST_P(EveryProgram, HasHelpAndVersion) {
  const Workplace place;
  const std::string program = GetParam();
  const Outcome version = place.run(program + " --version");
  EXPECT_EQ(version.code, 0);
  EXPECT_THAT(version.output, StartsWith(program + " "));
  const Outcome help = place.run(program + " --help");
  EXPECT_EQ(help.code, 0);
  EXPECT_THAT(help.output, HasSubstr("--version"));
}

TEST_P(EveryProgram, RefusesAnUnknownFlag) {
  const Workplace place;
  const Outcome outcome = place.run(std::string(GetParam()) + " --no-such-flag");
  EXPECT_EQ(outcome.code, 64) << outcome.all();
}

INSTANTIATE_TEST_SUITE_P(Programs, EveryProgram,
                         ::testing::Values("moe-train", "moe-data", "moe-eval", "moe-generate", "moe-checkpoint"),
                         [](const auto& row) {
                           std::string name = row.param;
                           name.erase(name.find('-'), 1);
                           return name;
                         });

}  // namespace
}  // namespace moe::testing
