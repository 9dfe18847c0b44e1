// One small run from text to samples, through the programs.
#include <cmath>

#include "programs/programs.h"
#include "support/tolerance.h"

namespace moe::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// The run, made once; every test reads it.
class SmallRun : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    place_ = new Workplace;
    place_->prepare_data();
    place_->write("small.yaml", small_config());
    trained_ = new Outcome(place_->run("moe-train small.yaml parallel.expert=2", 2));
  }
  static void TearDownTestSuite() {
    delete place_;
    delete trained_;
    place_ = nullptr;
    trained_ = nullptr;
  }
  void SetUp() override { ASSERT_EQ(trained_->code, 0) << trained_->all(); }

  static double last_loss() {
    return place_->lines("runs/small/metrics.jsonl").back().at("eval_loss").get<double>();
  }

  static Workplace* place_;
  static Outcome* trained_;
};
Workplace* SmallRun::place_ = nullptr;
Outcome* SmallRun::trained_ = nullptr;

std::vector<std::string> keys(const nlohmann::ordered_json& line) {
  std::vector<std::string> all;
  for (const auto& item : line.items()) all.push_back(item.key());
  return all;
}

TEST_F(SmallRun, WritesOneMetricsLineAStepWithTheKeysOfTheContract) {
  const auto lines = place_->lines("runs/small/metrics.jsonl");
  ASSERT_EQ(lines.size(), 12u);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(lines[i].at("step"), i + 1);
    EXPECT_EQ(lines[i].at("tokens"), (i + 1) * 4 * 32);
    EXPECT_TRUE(std::isfinite(lines[i].at("loss").get<double>()));
    EXPECT_GT(lines[i].at("tokens_per_second").get<double>(), 0);
    EXPECT_GT(lines[i].at("mfu").get<double>(), 0);
    if (i + 1 == lines.size()) break;
    EXPECT_THAT(keys(lines[i]), ElementsAre("step", "tokens", "loss", "balance_loss", "z_loss", "grad_norm", "lr",
                                            "tokens_per_second", "mfu", "step_seconds"));
  }
  EXPECT_THAT(keys(lines.back()),
              ElementsAre("step", "tokens", "loss", "balance_loss", "z_loss", "grad_norm", "lr", "tokens_per_second",
                          "mfu", "step_seconds", "eval_loss", "eval_bits_per_byte"));
  // An untrained model knows nothing: ln(260) = 5.56 at first, and less once it has learned the letters.
  const double knows_nothing = std::log(260.0);
  EXPECT_GT(lines.front().at("loss").get<double>(), 0.95 * knows_nothing);
  EXPECT_LT(lines.front().at("loss").get<double>(), 1.05 * knows_nothing);
  EXPECT_LT(last_loss(), 0.95 * knows_nothing);
}

TEST_F(SmallRun, LaysOutItsFolder) {
  for (const char* name : {"config.resolved.yaml", "metrics.jsonl", "tensorboard", "checkpoints/latest",
                           "checkpoints/step_00000012"}) {
    EXPECT_TRUE(place_->exists(std::string("runs/small/") + name)) << name;
  }
  EXPECT_FALSE(std::filesystem::is_empty(*place_ / "runs/small/tensorboard"));
  for (const auto& entry : std::filesystem::recursive_directory_iterator(*place_ / "runs/small")) {
    EXPECT_EQ(entry.path().filename().string().find(".tmp"), std::string::npos) << entry.path();
  }
  EXPECT_EQ(place_->run("moe-checkpoint verify runs/small").code, 0);
}

TEST_F(SmallRun, ShowsEachStepOnceWithTwoRanks) {
  EXPECT_EQ(count(trained_->all(), "saved "), 1) << trained_->all();
}

TEST_F(SmallRun, EvaluatesToTheSameLossOnAnyNumberOfRanks) {
  for (const int ranks : {0, 2, 4}) {
    const Outcome told = place_->run("moe-eval runs/small --json", ranks);
    ASSERT_EQ(told.code, 0) << told.all();
    const auto json = nlohmann::json::parse(told.output);
    const double loss = json.at("loss").get<double>();
    EXPECT_NEAR(loss, last_loss(), testing::kSameEvaluation * last_loss()) << ranks << " ranks";
    EXPECT_EQ(json.at("step"), 12);
    EXPECT_EQ(json.at("tokens"), place_->read("held_out.txt").size() + 1) << "every byte and the end of the document, once";
    EXPECT_TRUE(json.contains("routing"));
  }
}

TEST_F(SmallRun, EvaluatesWithExpertsSpreadOverRanks) {
  const Outcome told = place_->run("moe-eval runs/small --json --expert 2", 2);
  ASSERT_EQ(told.code, 0) << told.all();
  EXPECT_NEAR(nlohmann::json::parse(told.output).at("loss").get<double>(), last_loss(), testing::kSameEvaluation * last_loss());
}

TEST_F(SmallRun, EvaluatesWithTheContextThatIsAskedFor) {
  const auto told = [&](const std::string& arguments) {
    const Outcome outcome = place_->run("moe-eval runs/small --json " + arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.all();
    return nlohmann::json::parse(outcome.output);
  };
  EXPECT_EQ(told("--sequence-length 32").at("loss"), told("").at("loss")) << "32 is the run's own";
  const auto shorter = told("--sequence-length 8");
  EXPECT_EQ(shorter.at("sequence_length"), 8);
  EXPECT_EQ(shorter.at("tokens"), place_->read("held_out.txt").size() + 1) << "still every byte once";
  EXPECT_NE(shorter.at("loss"), told("").at("loss"));
  const Outcome refused = place_->run("moe-eval runs/small --sequence-length 65");
  EXPECT_EQ(refused.code, 64) << refused.all();
  EXPECT_THAT(refused.errors, ::testing::HasSubstr("max_position_embeddings (64), got 65"));
}

TEST_F(SmallRun, GeneratesTheSameGreedilyWithAndWithoutTheCache) {
  const std::string command = "moe-generate runs/small --prompt 'ba de' --max-tokens 40 --temperature 0 --json";
  const Outcome cached = place_->run(command);
  const Outcome recomputed = place_->run(command + " --no-cache");
  ASSERT_EQ(cached.code, 0) << cached.all();
  ASSERT_EQ(recomputed.code, 0) << recomputed.all();
  const auto tokens = nlohmann::json::parse(cached.output).at("tokens");
  EXPECT_EQ(tokens, nlohmann::json::parse(recomputed.output).at("tokens"));
  EXPECT_FALSE(tokens.empty());
}

TEST_F(SmallRun, GeneratesOnceOnTwoRanks) {
  const std::string command = "moe-generate runs/small --prompt 'ba de' --max-tokens 20 --seed 5";
  const Outcome alone = place_->run(command);
  const Outcome two = place_->run(command, 2);
  ASSERT_EQ(two.code, 0) << two.all();
  EXPECT_THAT(alone.output, StartsWith("ba de"));
  EXPECT_EQ(two.output, alone.output);
}

TEST_F(SmallRun, StopsGeneratingWhenTheContextIsFull) {
  const Outcome told =
      place_->run("moe-generate runs/small --prompt 'ba de' --max-tokens 500 --temperature 0 --json");
  ASSERT_EQ(told.code, 0) << told.all();
  const auto json = nlohmann::json::parse(told.output);
  const std::size_t made = json.at("tokens").size();
  EXPECT_TRUE(json.at("end") == "context_full" ? made + 1 + 5 == 64 : made + 1 + 5 < 64) << json;
}

TEST_F(SmallRun, RefusesAPromptLongerThanTheContext) {
  const Outcome told =
      place_->run("moe-generate runs/small --max-tokens 5 --prompt " + std::string(100, 'a'));
  EXPECT_EQ(told.code, 66);
  EXPECT_THAT(told.errors, HasSubstr("model.max_position_embeddings"));
}

}  // namespace
}  // namespace moe::testing
