#include "metrics/profile.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "support/temporary_folder.h"

namespace moe::metrics {
namespace {

using ::testing::HasSubstr;

Activity activity(const char* family, const char* name, double seconds, const char* part = nullptr) {
  return {.family = family, .name = name, .part = part, .start = 10.0, .end = 10.0 + seconds};
}

/// A first step that warms up, then two that count.
void fill(Profile& profile) {
  for (int step = 0; step < 3; ++step) {
    profile.begin_step();
    profile.ended(activity("gemm", "gemm", step == 0 ? 100.0 : 0.25));
    profile.ended(activity("gemm", "gemm", 0.25));
    profile.ended(activity("gemm", "gemm", 0.125, "lm_head"));
    profile.ended(activity("wait", "gradient_sum", 0.125));
    profile.end_step(step == 0 ? 200.0 : 1.0, 0.0625);
    profile.ended(activity("gemm", "gemm", 50.0));  // an evaluation
  }
}

double seconds_of(const Profile& profile, const std::string& name) {
  for (const Profile::Row& row : profile.rows()) {
    if (row.name == name) return row.seconds;
  }
  return -1.0;
}

TEST(Profile, StepsAfterTheFirstAreSummedByActivity) {
  Trace trace;
  Profile profile(trace);
  fill(profile);
  EXPECT_EQ(profile.steps(), 2);
  EXPECT_EQ(profile.seconds(), 2.0);
  EXPECT_EQ(seconds_of(profile, "gemm"), 1.0);
  EXPECT_EQ(seconds_of(profile, "lm_head gemm"), 0.25);
  EXPECT_EQ(seconds_of(profile, "wait gradient_sum"), 0.25);
  EXPECT_EQ(seconds_of(profile, "wait data"), 0.125);
}

TEST(Profile, RowsAddUpToTheStepsAndTheLongestComesFirst) {
  Trace trace;
  Profile profile(trace);
  fill(profile);
  double total = 0.0;
  double before = profile.rows().front().seconds;
  EXPECT_EQ(profile.rows().front().name, "gemm");
  for (const Profile::Row& row : profile.rows()) {
    EXPECT_LE(row.seconds, before);
    before = row.seconds;
    total += row.seconds;
  }
  EXPECT_DOUBLE_EQ(total, profile.seconds());
  EXPECT_DOUBLE_EQ(seconds_of(profile, "other"), 2.0 - 1.0 - 0.25 - 0.25 - 0.125);
}

TEST(Profile, JsonTellsFiguresAStep) {
  Trace trace;
  Profile profile(trace);
  fill(profile);
  const auto before = nlohmann::json::parse(profile.json());
  EXPECT_FALSE(before.contains("gradient_sum_alone"));
  profile.set_gradient_sum(0.5, 0.0625);
  const auto json = nlohmann::json::parse(profile.json());
  EXPECT_EQ(json["steps"], 2);
  EXPECT_EQ(json["step_seconds"], 1.0);
  EXPECT_EQ(json["activities"][0]["name"], "gemm");
  EXPECT_EQ(json["activities"][0]["calls"], 2.0);
  EXPECT_EQ(json["activities"][0]["seconds"], 0.5);
  EXPECT_EQ(json["activities"][0]["share"], 0.5);
  EXPECT_EQ(json["gradient_sum_wait"], 0.125);
  EXPECT_EQ(json["gradient_sum_exposed"], 0.0625);
  EXPECT_EQ(json["gradient_sum_alone"], 0.5);
}

TEST(Profile, TheTableSetsWaitingBesideTheSumsAlone) {
  Trace trace;
  Profile profile(trace);
  fill(profile);
  EXPECT_EQ(profile.gradient_waits().size(), 2U) << "the first step warms up";
  profile.set_gradient_sum(0.5, 0.0625);
  EXPECT_THAT(profile.table(), HasSubstr("2 steps of 1000.0 ms"));
  EXPECT_THAT(profile.table(), HasSubstr("waiting for gradient sums: 125.00 ms a step; of these the sums' own, "
                                         "which the last rank to come waited too: 62.50 ms, 12 % of the 500.00 ms"));
}

TEST(Profile, TheOptimizerIsSetBesideTheMemoryOfTheMachine) {
  Trace trace;
  Profile profile(trace);
  for (int step = 0; step < 3; ++step) {
    profile.begin_step();
    profile.ended(activity("optim", "adamw", 0.5));
    profile.end_step(1.0, 0.0);
  }
  profile.set_memory(4e9, 16e9);
  EXPECT_THAT(profile.table(), HasSubstr("optimizer: 8.0 GB/s, 50 % of the memory bandwidth measured here (16.0 GB/s)"));
  const auto json = nlohmann::json::parse(profile.json());
  EXPECT_EQ(json["optimizer_bandwidth"], 8e9);
  EXPECT_EQ(json["memory_bandwidth"], 16e9);
}

TEST(Profile, ARunOfOneStepSaysThatItIsTooShort) {
  Trace trace;
  Profile profile(trace);
  profile.begin_step();
  profile.end_step(1.0, 0.0);
  EXPECT_THAT(profile.table(), HasSubstr("too few steps"));
  EXPECT_EQ(nlohmann::json::parse(profile.json())["steps"], 0);
}

TEST(Profile, ActivitiesStandInTheTimelineToo) {
  const testing::TemporaryFolder folder;
  {
    Trace trace(folder / "trace.json", 0);
    Profile profile(trace);
    fill(profile);
  }
  int sums = 0;
  for (const auto& event : nlohmann::json::parse(read_file(folder / "trace.json"))) {
    if (event["name"] == "gradient_sum") ++sums;
  }
  EXPECT_EQ(sums, 3);
}

}  // namespace
}  // namespace moe::metrics
