// Stopped and resumed equals uninterrupted, through the program.
#include <sstream>

#include "programs/programs.h"
#include "support/tolerance.h"

namespace moe::testing {
namespace {

using ::testing::HasSubstr;

constexpr int kSteps = 200;
// At least so many steps are left to compare after the stop, wherever the signal struck.
constexpr int kStepsAfter = 50;
constexpr int kExitPreempted = 85;

struct Precision {
  const char* name;
  const char* environment;
  const char* overrides;
};

class Resume : public ::testing::TestWithParam<Precision> {};

/// What a step learned, as text: the line up to the learning rate, without speeds.
std::string learned(const nlohmann::ordered_json& line) {
  std::string text;
  for (const char* key : {"step", "tokens", "loss", "balance_loss", "z_loss", "grad_norm", "lr"}) {
    text += line.at(key).dump() + " ";
  }
  if (line.contains("eval_loss")) text += line.at("eval_loss").dump();
  return text;
}

std::vector<std::string> learned(const std::vector<nlohmann::ordered_json>& lines) {
  std::vector<std::string> all;
  for (const auto& line : lines) all.push_back(learned(line));
  return all;
}

void prepare(const Workplace& place) {
  place.prepare_data();
  place.write("small.yaml", small_config(kSteps));
}

/// Runs `command` until SIGTERM ends it early; a run that was faster than the signal is repeated.
Outcome stop_early(const Workplace& place, const std::string& command, const std::string& run) {
  for (int attempt = 0; attempt < 5; ++attempt) {
    std::filesystem::remove_all(place / ("runs/" + run));
    const Outcome stopped = place.run_and_stop(command, "runs/" + run + "/metrics.jsonl", 4);
    const bool early =
        place.lines("runs/" + run + "/metrics.jsonl").size() + kStepsAfter <= kSteps;
    if (early || stopped.code != 0) return stopped;
  }
  return {};
}

TEST_P(Resume, EqualsTheUninterruptedRunBitForBit) {
  const Workplace place;
  prepare(place);
  const std::string command = std::string("env ") + GetParam().environment + " moe-train small.yaml " +
                              GetParam().overrides;
  const Outcome whole = place.run(command + " name=whole");
  ASSERT_EQ(whole.code, 0) << whole.all();
  const Outcome stopped = stop_early(place, command + " name=cut", "cut");
  ASSERT_EQ(stopped.code, kExitPreempted) << stopped.all();
  const std::size_t before = place.lines("runs/cut/metrics.jsonl").size();
  EXPECT_GE(before, 4u);
  ASSERT_LE(before + kStepsAfter, static_cast<std::size_t>(kSteps));

  const Outcome resumed = place.run(command + " name=cut checkpoint.resume=auto");
  ASSERT_EQ(resumed.code, 0) << resumed.all();
  EXPECT_THAT(resumed.all(), HasSubstr("resumed from"));
  EXPECT_EQ(learned(place.lines("runs/cut/metrics.jsonl")), learned(place.lines("runs/whole/metrics.jsonl")));
  const Outcome compared = place.run("moe-checkpoint compare runs/whole runs/cut");
  EXPECT_EQ(compared.code, 0) << compared.all();
}

INSTANTIATE_TEST_SUITE_P(
    Precisions, Resume,
    ::testing::Values(Precision{"F32", "", ""},
                      Precision{"BF16", "MOE_CPU_ISA=avx2",
                                "runtime.compute_dtype=bf16 runtime.emulate_bf16=true"}),
    [](const auto& row) { return row.param.name; });

TEST(ResumeElsewhere, ContinuesOnTwoRanksWithinTolerance) {
  const Workplace place;
  prepare(place);
  // A loss that does not depend on how the batch is cut into micro-batches.
  const std::string command = "moe-train small.yaml eval.final=false model.balance_loss=sequence ";
  ASSERT_EQ(place.run(command + "name=whole").code, 0);
  const Outcome stopped = stop_early(place, command + "name=cut", "cut");
  ASSERT_EQ(stopped.code, kExitPreempted) << stopped.all();
  const std::size_t before = place.lines("runs/cut/metrics.jsonl").size();
  const Outcome resumed = place.run(command + "name=cut parallel.expert=2", 2);
  ASSERT_EQ(resumed.code, 0) << resumed.all();
  EXPECT_THAT(resumed.all(), HasSubstr("changed since the checkpoint: parallel.expert: 1 -> 2"));
  const auto whole = place.lines("runs/whole/metrics.jsonl");
  const auto cut = place.lines("runs/cut/metrics.jsonl");
  ASSERT_EQ(cut.size(), whole.size());
  // Steps after the change differ by the order of sums only: a step's loss sums over its tokens.
  constexpr std::int64_t kTerms = 4 * 32;
  for (std::size_t i = before; i < cut.size(); ++i) {
    const double expected = whole[i].at("loss").get<double>();
    const double allowed = testing::tolerance(DType::F32, kTerms) * expected;
    EXPECT_NEAR(cut[i].at("loss").get<double>(), expected, allowed) << i;
    EXPECT_EQ(cut[i].at("tokens"), whole[i].at("tokens"));
  }
}

TEST(ResumeElsewhere, RefusesWhatChangesTheTrainingAndTouchesNothing) {
  const Workplace place;
  place.prepare_data();
  place.write("small.yaml", small_config(2));
  ASSERT_EQ(place.run("moe-train small.yaml").code, 0);
  const std::string config = place.read("runs/small/config.resolved.yaml");
  const std::string metrics = place.read("runs/small/metrics.jsonl");
  const Outcome refused = place.run("moe-train small.yaml training.steps=4 optimizer.learning_rate=0.002");
  EXPECT_EQ(refused.code, 64);
  EXPECT_THAT(refused.errors, HasSubstr("optimizer.learning_rate"));
  EXPECT_EQ(place.read("runs/small/config.resolved.yaml"), config);
  EXPECT_EQ(place.read("runs/small/metrics.jsonl"), metrics);

  const Outcome longer = place.run("moe-train small.yaml training.steps=4");
  EXPECT_EQ(longer.code, 0) << longer.all();
  EXPECT_THAT(longer.all(), HasSubstr("training.steps: 2 -> 4"));
  EXPECT_EQ(place.lines("runs/small/metrics.jsonl").size(), 4u);
}

TEST(ResumeElsewhere, StartsAnewWhenThereIsNothingAndRefusesLatest) {
  const Workplace place;
  place.prepare_data();
  place.write("small.yaml", small_config(2));
  const Outcome latest = place.run("moe-train small.yaml checkpoint.resume=latest");
  EXPECT_EQ(latest.code, 66) << latest.all();
  EXPECT_FALSE(place.exists("runs")) << "a refused run leaves no folder";
  EXPECT_EQ(place.run("moe-train small.yaml checkpoint.resume=auto").code, 0);
}

TEST(ResumeElsewhere, StartingAnewKeepsTheEarlierRunAside) {
  const Workplace place;
  place.prepare_data();
  place.write("small.yaml", small_config(6));
  ASSERT_EQ(place.run("moe-train small.yaml checkpoint.interval=2").code, 0);
  const std::string metrics = place.read("runs/small/metrics.jsonl");
  // A shorter run of the same name: its checkpoints must not lose against the newer ones of before.
  const Outcome anew = place.run("moe-train small.yaml checkpoint.resume=never training.steps=3");
  ASSERT_EQ(anew.code, 0) << anew.all();
  EXPECT_THAT(anew.all(), HasSubstr("checkpoints/superseded_1"));
  EXPECT_TRUE(place.exists("runs/small/checkpoints/superseded_1/step_00000006/manifest.json"));
  EXPECT_EQ(place.read("runs/small/checkpoints/superseded_1/metrics.jsonl"), metrics);
  EXPECT_TRUE(place.exists("runs/small/checkpoints/step_00000003"));
  EXPECT_FALSE(place.exists("runs/small/checkpoints/step_00000006"));
  const Outcome resumed = place.run("moe-train small.yaml training.steps=4");
  ASSERT_EQ(resumed.code, 0) << resumed.all();
  EXPECT_THAT(resumed.all(), HasSubstr("(step 3)"));
  // From further back, by path.
  const Outcome back = place.run(
      "moe-train small.yaml training.steps=4 "
      "checkpoint.resume=runs/small/checkpoints/step_00000003");
  ASSERT_EQ(back.code, 0) << back.all();
  EXPECT_TRUE(place.exists("runs/small/checkpoints/superseded_2/step_00000004"));
}

TEST(ResumeElsewhere, FallsBackPastADamagedCheckpoint) {
  const Workplace place;
  place.prepare_data();
  place.write("small.yaml", small_config(4) );
  ASSERT_EQ(place.run("moe-train small.yaml checkpoint.interval=2").code, 0);
  const auto step = place / "runs/small/checkpoints/step_00000004";
  for (const auto& entry : std::filesystem::directory_iterator(step)) {
    if (entry.path().extension() != ".h5") continue;
    std::filesystem::resize_file(entry.path(), std::filesystem::file_size(entry.path()) / 2);
  }
  const Outcome resumed = place.run("moe-train small.yaml checkpoint.interval=2");
  EXPECT_EQ(resumed.code, 0) << resumed.all();
  EXPECT_THAT(resumed.all(), HasSubstr("checkpoint rejected"));
  EXPECT_THAT(resumed.all(), HasSubstr("(step 2)"));
  EXPECT_EQ(place.lines("runs/small/metrics.jsonl").size(), 4u);
}

}  // namespace
}  // namespace moe::testing
