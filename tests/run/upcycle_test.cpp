// moe-upcycle from plan to written model.
#include "run/upcycle_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/memory_source.h"
#include "growth/support.h"
#include "run/open_model.h"
#include "run/write_model.h"
#include "support/temporary_folder.h"

namespace moe::run {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

class Upcycle : public testing::ContextTest {
 protected:
  /// A model on disk. @returns its folder
  std::string store(const growth::ModelSource& model, ModelFormat format = ModelFormat::Native,
                    const std::string& name = "source") {
    ModelToWrite to_write{.model = model, .files = {}, .states = {}, .reports = {}};
    write_model(to_write, {.output = folder_ / name, .format = format, .progress = false});
    return (folder_ / name).string();
  }

  static growth::ModelSource dense(DType dtype = DType::F32) {
    ModelConfig config = growth::tiny_config();
    config.head_dim.reset();
    config.hidden_size = 16;
    return growth::random_model(config, dtype);
  }

  std::string run(const std::string& stages, const std::string& more = "", bool json = false,
                  bool dry_run = false) {
    std::ofstream(folder_ / "plan.yaml") << "source: " << (folder_ / "source").string()
                                         << "\noutput: " << output().string() << "\nstages:\n"
                                         << stages << more;
    std::ostringstream out;
    upcycle({.plan = folder_ / "plan.yaml", .dry_run = dry_run, .json = json, .progress = false}, out);
    return out.str();
  }

  Path output() const { return folder_ / "grown"; }

  /// Nothing of the output and nothing beside it.
  void expect_nothing_written() const {
    EXPECT_FALSE(std::filesystem::exists(output()));
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      EXPECT_THAT(entry.path().filename().string(), ::testing::Not(HasSubstr("tmp"))) << entry.path();
    }
  }

  template <class ErrorType>
  std::string refused(const std::string& stages, const std::string& more = "") {
    try {
      run(stages, more);
    } catch (const ErrorType& error) {
      expect_nothing_written();
      return error.what();
    }
    ADD_FAILURE() << "not refused: " << stages;
    return "";
  }

  testing::TemporaryFolder folder_{true};
};

const char* const kExactStages =
    "  - widen: {hidden_size: 24, intermediate_size: 15, num_attention_heads: 6}\n"
    "  - deepen: {num_hidden_layers: 5}\n"
    "  - sparsify: {num_experts: 4, num_experts_per_tok: 2}\n";

TEST_F(Upcycle, GrowsAnExactMoeAndReportsEveryStage) {
  const growth::ModelSource source = dense();
  store(source);
  const std::string told = run(kExactStages, "verify: {tokens: 64, require_exact: 1.0e-3}\n");
  for (const char* part : {"widen", "lemon", "deepen", "identity", "sparsify", "copy", "expert cosine"}) {
    EXPECT_THAT(told, HasSubstr(part));
  }
  const Json report = Json::parse(read_file(output() / "growth.json"));
  ASSERT_EQ(report["stages"].size(), 3U);
  const std::set<std::string> keys{"stage", "method", "loss_before", "loss_after", "max_logit_difference",
                                   "parameters_total", "parameters_active", "expert_cosine"};
  for (const Json& stage : report["stages"]) {
    std::set<std::string> found;
    for (const auto& item : stage.items()) found.insert(item.key());
    EXPECT_EQ(found, keys);
    EXPECT_NEAR(stage["loss_before"].get<double>(), stage["loss_after"].get<double>(), testing::kExactGrowthLoss);
  }
  EXPECT_TRUE(report["stages"][0]["expert_cosine"].is_null());
  EXPECT_NEAR(report["stages"][2]["expert_cosine"].get<double>(), 1.0, testing::kExactGrowthF32);

  const StoredModel grown = open_model(output());
  EXPECT_EQ(grown.model.config.num_experts, 4);
  EXPECT_EQ(grown.model.config.hidden_size, 24);
  EXPECT_LE(growth::logit_jump(source, grown.model, DType::F32), testing::kExactGrowthF32);
}

TEST_F(Upcycle, RecordsPlanSeedAndDigest) {
  store(dense());
  run("  - deepen: {num_hidden_layers: 4}\n", "seed: 11\n");
  const StoredModel source = open_model(folder_ / "source");
  const StoredModel grown = open_model(output());
  const auto checkpoint = checkpoint::open_checkpoint(grown.path);
  const Json state = Json::parse(checkpoint->state("growth"));
  EXPECT_EQ(state["seed"], 11);
  EXPECT_EQ(state["source_digest"], digest_of(source));
  EXPECT_THAT(state["plan"].get<std::string>(), HasSubstr("num_hidden_layers: 4"));
}

TEST_F(Upcycle, Property8SameSeedSameBytes) {
  store(dense());
  const auto digest = [&](const char* seed) {
    std::filesystem::remove_all(output());
    run("  - widen: {hidden_size: 32}\n", seed);
    const StoredModel grown = open_model(output());
    std::string all;
    for (const std::string& name : grown.model.weights->names()) {
      for (const double v : growth::values_of(*grown.model.weights, name)) all += format("{} ", v);
    }
    return all;
  };
  const std::string first = digest("seed: 1\n");
  EXPECT_EQ(digest("seed: 1\n"), first);
  EXPECT_NE(digest("seed: 2\n"), first);
}

TEST_F(Upcycle, WritesHuggingFaceFolders) {
  const growth::ModelSource source = dense();
  store(source, ModelFormat::HuggingFace);
  run("  - sparsify: {num_experts: 4}\n", "output_format: hf\n");
  const StoredModel grown = open_model(output());
  EXPECT_EQ(grown.format, ModelFormat::HuggingFace);
  EXPECT_EQ(grown.architecture, interop::Architecture::Mixtral);
  EXPECT_TRUE(std::filesystem::exists(output() / "growth.json"));
  EXPECT_LE(growth::logit_jump(source, grown.model, DType::F32), testing::kExactGrowthF32);
}

TEST_F(Upcycle, TheGateLeavesNothing) {
  store(dense());
  const std::string message = refused<CheckpointError>(
      "  - deepen: {method: stack, num_hidden_layers: 5}\n", "verify: {tokens: 32, require_exact: 1.0e-4}\n");
  EXPECT_THAT(message, HasSubstr("stages[0] deepen (stack)"));
  EXPECT_THAT(message, HasSubstr("require_exact"));
}

TEST_F(Upcycle, DryRunNeedsNothingButTheConfig) {
  store(dense(), ModelFormat::HuggingFace);
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "source")) {
    if (entry.path().filename() != "config.json") std::filesystem::remove(entry.path());
  }
  const std::string text = run(kExactStages, "", false, true);
  EXPECT_THAT(text, HasSubstr("depth map   0,1,1,2,2"));
  EXPECT_THAT(text, HasSubstr("keeps the function"));
  const Json told = Json::parse(run(kExactStages, "", true, true));
  EXPECT_EQ(told["stages"][1]["depth_map"], (std::vector<int>{0, 1, 1, 2, 2}));
  EXPECT_EQ(told["stages"][2]["num_experts"], 4);
  expect_nothing_written();
  EXPECT_THAT(refused<CheckpointError>(kExactStages), HasSubstr("weights"));
}

TEST_F(Upcycle, RefusesBadPlansBeforeReading) {
  EXPECT_THAT(refused<ConfigError>("  - widen: {hidden: 3}\n"), HasSubstr("stages[0].widen.hidden"));
  EXPECT_THAT(refused<CheckpointError>("  - deepen: {num_hidden_layers: 4}\n"), HasSubstr("no such folder"));
  store(dense());
  EXPECT_THAT(refused<ConfigError>("  - widen: {hidden_size: 3}\n"), HasSubstr("stages[0].widen.hidden_size: got 3"));
  EXPECT_THAT(refused<ConfigError>("  - deepen: {num_hidden_layers: 4}\n", "optimizer_state: tile\noutput_format: hf\n"),
              HasSubstr("optimizer_state"));
  EXPECT_THAT(refused<CheckpointError>("  - deepen: {num_hidden_layers: 4}\n", "optimizer_state: copy\n"),
              HasSubstr("no optimizer state"));
}

TEST_F(Upcycle, RefusesWeightsThatAreNotNumbers) {
  growth::ModelSource model = dense();
  store(model, ModelFormat::HuggingFace);
  // Spoil one value behind the writer's back.
  const Path file = folder_ / "source" / "model.safetensors";
  std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
  stream.seekp(-4, std::ios::end);
  const float bad = std::nanf("");
  stream.write(reinterpret_cast<const char*>(&bad), 4);
  stream.close();
  const std::string message = refused<CheckpointError>("  - deepen: {num_hidden_layers: 4}\n");
  EXPECT_THAT(message, HasSubstr("model.safetensors"));
  EXPECT_THAT(message, HasSubstr("nan"));
}

TEST_F(Upcycle, NeverOverwrites) {
  store(dense());
  std::filesystem::create_directories(output() / "precious");
  try {
    run("  - deepen: {num_hidden_layers: 4}\n");
    FAIL();
  } catch (const CheckpointError& error) {
    EXPECT_THAT(error.what(), HasSubstr("grown"));
  }
  EXPECT_TRUE(std::filesystem::exists(output() / "precious"));
}

TEST_F(Upcycle, Property8StoppedItLeavesNothingAndStartsAgain) {
  store(dense());
  std::ofstream(folder_ / "plan.yaml") << "source: " << (folder_ / "source").string() << "\noutput: "
                                       << output().string()
                                       << "\nstages: [{deepen: {num_hidden_layers: 4}}]\n";
  const std::atomic<bool> stop{true};
  std::ostringstream out;
  EXPECT_THROW(upcycle({.plan = folder_ / "plan.yaml", .progress = false, .stop = &stop}, out), Interrupted);
  expect_nothing_written();
  run("  - deepen: {num_hidden_layers: 4}\n");  // again, from the start
  EXPECT_EQ(open_model(output()).model.config.num_hidden_layers, 4);
}

TEST_F(Upcycle, VerifiesOnTextOnlyWithATokenizer) {
  store(dense());
  std::ofstream(folder_ / "text.txt") << "some text";
  EXPECT_THAT(refused<DataError>("  - deepen: {num_hidden_layers: 4}\n",
                                 "verify: {text: " + (folder_ / "text.txt").string() + "}\n"),
              HasSubstr("carries no tokenizer"));
}

/// A checkpoint of training: moments beside the weights, counters in its states.
class UpcycleMoments : public Upcycle {
 protected:
  void SetUp() override {
    const growth::ModelSource model = dense();
    auto moments = std::make_shared<checkpoint::MemorySource>("moments");
    for (const std::string& name : model.weights->names()) {
      const Shape& shape = model.weights->info(name).shape;
      for (const char* kind : {".moment1", ".moment2"}) {
        std::vector<double> values(static_cast<std::size_t>(shape.numel()));
        const Random random(5, name + kind);
        for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(random.uniform(i));
        moments->add(name + kind, shape, DType::F32, values);
      }
    }
    ModelToWrite to_write{.model = model, .files = {}, .states = {}, .reports = {}};
    to_write.training = CarriedTraining{.moments = moments,
                                        .step = 40,
                                        .samples = 160,
                                        .tokens = 5120,
                                        .states = {{"counters", R"({"step": 40, "tokens": 5120})"}}};
    write_model(to_write, {.output = folder_ / "source", .progress = false});
    moments_ = moments;
  }
  std::shared_ptr<checkpoint::MemorySource> moments_;
};

TEST_F(UpcycleMoments, AreLeftBehindUnlessAskedFor) {
  run("  - deepen: {num_hidden_layers: 4}\n");
  const StoredModel grown = open_model(output());
  EXPECT_EQ(grown.step, 0);
  const auto opened = checkpoint::open_checkpoint(grown.path);
  for (const std::string& name : opened->names()) {
    EXPECT_EQ(name.find("moment"), std::string::npos) << name;
  }
}

TEST_F(UpcycleMoments, TileFollowsTheWeights) {
  run("  - deepen: {method: stack, num_hidden_layers: 4}\n", "optimizer_state: tile\n");
  const auto grown = checkpoint::open_checkpoint(open_model(output()).path);
  EXPECT_EQ(grown->step(), 40);
  EXPECT_EQ(grown->header().consumed_tokens, 5120);
  EXPECT_THAT(grown->state("counters"), HasSubstr("40"));
  for (const char* kind : {".moment1", ".moment2"}) {
    EXPECT_EQ(growth::values_of(*grown, std::string("layers.3.mlp.down.weight") + kind),
              growth::values_of(*moments_, std::string("layers.0.mlp.down.weight") + kind));
  }
}

TEST_F(UpcycleMoments, CopyKeepsThoseOfTensorsThatStayed) {
  run("  - deepen: {method: stack, num_hidden_layers: 4}\n", "optimizer_state: copy\n");
  const auto grown = checkpoint::open_checkpoint(open_model(output()).path);
  EXPECT_EQ(growth::values_of(*grown, "layers.1.mlp.down.weight.moment2"),
            growth::values_of(*moments_, "layers.1.mlp.down.weight.moment2"));
  for (const double v : growth::values_of(*grown, "layers.3.mlp.down.weight.moment2")) EXPECT_EQ(v, 0.0);
}

TEST_F(UpcycleMoments, TileRefusesStagesThatDrawNeurons) {
  EXPECT_THAT(refused<ConfigError>("  - sparsify: {method: drop}\n", "optimizer_state: tile\n"),
              HasSubstr("stages[0] sparsify (drop)"));
}

}  // namespace
}  // namespace moe::run
