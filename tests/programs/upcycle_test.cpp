// moe-upcycle as a person runs it: a model from training, grown, evaluated, its refusals and its exit codes.
#include "programs/programs.h"
#include "support/tolerance.h"

namespace moe::testing {
namespace {

using ::testing::HasSubstr;

/// A dense run, and its text.
class GrownRun : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    place_ = new Workplace;
    place_->prepare_data();
    place_->write("text.txt", make_text("held out", 1 << 14));
    place_->write("small.yaml", small_config());
    trained_ = new Outcome(place_->run("moe-train small.yaml"));
  }
  static void TearDownTestSuite() {
    delete place_;
    delete trained_;
    place_ = nullptr;
    trained_ = nullptr;
  }
  void SetUp() override { ASSERT_EQ(trained_->code, 0) << trained_->all(); }

  static void plan(const std::string& name, const std::string& stages, const std::string& more = "") {
    place_->write(name + ".yaml",
                  "source: runs/small\noutput: " + name + "\nstages:\n" + stages + more);
  }
  static double loss_of(const std::string& checkpoint) {
    const Outcome told = place_->run("moe-eval " + checkpoint + " --json --data held_out");
    EXPECT_EQ(told.code, 0) << told.all();
    return nlohmann::json::parse(told.output).at("loss").get<double>();
  }

  static Workplace* place_;
  static Outcome* trained_;
};
Workplace* GrownRun::place_ = nullptr;
Outcome* GrownRun::trained_ = nullptr;

const char* const kExact = "  - widen: {hidden_size: 112}\n  - deepen: {num_hidden_layers: 3}\n";

TEST_F(GrownRun, ExactGrowthKeepsTheLossOnText) {
  plan("exact", kExact, "verify: {text: text.txt, tokens: 512, require_exact: 1.0e-3}\n");
  const Outcome grown = place_->run("moe-upcycle exact.yaml");
  ASSERT_EQ(grown.code, 0) << grown.all();
  EXPECT_THAT(grown.output, HasSubstr("lemon"));
  EXPECT_NEAR(loss_of("exact"), loss_of("runs/small"), kExactGrowthLoss);
  EXPECT_EQ(place_->run("moe-checkpoint verify exact").code, 0);
  const auto report = nlohmann::json::parse(place_->read("exact/growth.json"));
  EXPECT_EQ(report["tokens"], 512);
  EXPECT_EQ(report["verified_on"], "text.txt");
  // Again: nothing is overwritten.
  EXPECT_EQ(place_->run("moe-upcycle exact.yaml").code, 66);
}

TEST_F(GrownRun, TheWayBackOfExactGrowthIsTheSource) {
  plan("there", "  - deepen: {num_hidden_layers: 5}\n");
  ASSERT_EQ(place_->run("moe-upcycle there.yaml").code, 0);
  place_->write("back.yaml",
                "source: there\noutput: back\nstages: [{shorten: {num_hidden_layers: 2}}]\n"
                "verify: {require_exact: 0.0}\n");
  const Outcome back = place_->run("moe-upcycle back.yaml");
  ASSERT_EQ(back.code, 0) << back.all();
  place_->write("same.yaml", "source: runs/small\noutput: same\nstages: [{deepen: {num_hidden_layers: 2}}]\n");
  ASSERT_EQ(place_->run("moe-upcycle same.yaml").code, 0);
  EXPECT_EQ(place_->run("moe-checkpoint compare same back").code, 0);
}

TEST_F(GrownRun, ThreadsDoNotChangeABit) {
  for (const char* threads : {"1", "2"}) {
    plan(std::string("threads") + threads, kExact);
    const Outcome grown = place_->run(std::string("moe-upcycle threads") + threads + ".yaml --threads " + threads);
    ASSERT_EQ(grown.code, 0) << grown.all();
  }
  EXPECT_EQ(place_->run("moe-checkpoint compare threads1 threads2").code, 0);
}

struct Refusal {
  const char* name;
  const char* stages;
  const char* more;
  int code;
  const char* says;
};

TEST_F(GrownRun, RefusesWithTheCodeOfItsCause) {
  for (const Refusal& row : {
           Refusal{"unknown", "  - widn: {}\n", "", 64, "did you mean widen?"},
           Refusal{"shrinks", "  - widen: {hidden_size: 2}\n", "", 64, "stages[0].widen.hidden_size: got 2"},
           Refusal{"fewer", "  - deepen: {num_hidden_layers: 1}\n", "", 64, "stages[0].deepen.num_hidden_layers"},
           Refusal{"inexact", "  - deepen: {method: stack, num_hidden_layers: 4}\n",
                   "verify: {require_exact: 1.0e-6}\n", 66, "beyond verify.require_exact"},
           Refusal{"textless", "  - deepen: {num_hidden_layers: 3}\n", "verify: {text: none.txt}\n", 66, "none.txt"},
           Refusal{"moments", "  - deepen: {num_hidden_layers: 3}\n",
                   "optimizer_state: tile\noutput_format: hf\n", 64, "optimizer_state"},
       }) {
    plan(row.name, row.stages, row.more);
    const Outcome refused = place_->run(std::string("moe-upcycle ") + row.name + ".yaml");
    EXPECT_EQ(refused.code, row.code) << row.name << ": " << refused.all();
    EXPECT_THAT(refused.errors, HasSubstr(row.says)) << row.name;
    EXPECT_FALSE(place_->exists(row.name)) << row.name;
  }
  EXPECT_EQ(place_->run("moe-upcycle nowhere.yaml").code, 64);
  EXPECT_EQ(place_->run("moe-upcycle").code, 64);
}

TEST_F(GrownRun, OverridesAndDryRuns) {
  plan("dry", kExact);
  const Outcome told = place_->run("moe-upcycle dry.yaml output=elsewhere --dry-run --json");
  ASSERT_EQ(told.code, 0) << told.all();
  const auto report = nlohmann::json::parse(told.output);
  EXPECT_EQ(report["stages"][0]["hidden_size"], 112);
  EXPECT_EQ(report["stages"][1]["depth_map"], (std::vector<int>{0, 1, 1}));
  EXPECT_FALSE(place_->exists("dry"));
  EXPECT_FALSE(place_->exists("elsewhere"));
}

TEST_F(GrownRun, MomentsGoOnWithTheTraining) {
  plan("moved", "  - deepen: {num_hidden_layers: 3}\n", "optimizer_state: tile\n");
  const Outcome grown = place_->run("moe-upcycle moved.yaml");
  ASSERT_EQ(grown.code, 0) << grown.all();
  const std::string config = with(small_config(), "num_hidden_layers: 2", "num_hidden_layers: 3");
  place_->write("goes_on.yaml", with(config, "name: small", "name: goes_on"));
  const Outcome run = place_->run("moe-train goes_on.yaml checkpoint.resume=moved training.steps=16");
  EXPECT_EQ(run.code, 0) << run.all();
  EXPECT_THAT(run.all(), HasSubstr("(step 12)"));
  EXPECT_EQ(place_->lines("runs/goes_on/metrics.jsonl").size(), 4U);
}

}  // namespace
}  // namespace moe::testing
