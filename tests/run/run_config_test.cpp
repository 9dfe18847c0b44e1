#include "run/run_config.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "config/decode.h"

namespace moe::run {
namespace {

const std::string kMinimal = "training: {steps: 10}\ndata: {source: synthetic}\n";

RunConfig minimal() { return parse_run_config(kMinimal, "minimal"); }

TEST(RunConfig, ResolvedTextIsAValidConfigWithTheSameText) {
  const std::string once = print_run_config(minimal());
  EXPECT_EQ(print_run_config(parse_run_config(once, "printed")), once);
}

TEST(RunConfig, EveryShippedConfigIsValid) {
  int seen = 0;
  for (const char* folder : {"configs/run", "configs/test"}) {
    const Path path = Path(MOE_SOURCE_DIR) / folder;
    if (!std::filesystem::exists(path)) continue;
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      if (entry.path().extension() != ".yaml") continue;
      EXPECT_NO_THROW(load_run_config(entry.path(), {})) << entry.path();
      ++seen;
    }
  }
  EXPECT_GE(seen, 2);
}

TEST(RunConfig, ReferenceInTheDocsIsFresh) {
  EXPECT_EQ(read_file(Path(MOE_SOURCE_DIR) / "docs/configuration.md"), config_reference())
      << "regenerate: build/release/bin/moe-train --print-reference > docs/configuration.md";
}

TEST(RunConfig, RefusesWhatContradictsAcrossSections) {
  const char* bad[] = {
      "training: {steps: 1, sequence_length: 512}\nmodel: {max_position_embeddings: 256}\n",
      "training: {steps: 1}\nmodel: {num_experts: 6}\nparallel: {expert: 4}\n",
      "training: {steps: 1}\nparallel: {expert: 2}\n",
      "training: {steps: 1}\noptimizer: {learning_rate: 0.001}\nschedule: {min_learning_rate: 0.01}\n",
      "training: {steps: 1, tokens: 5}\n",
      "training: {}\n",
      "name: a/b\ntraining: {steps: 1}\n",
      "training: {steps: 1, micro_batch_size: 3, global_batch_size: 4}\n",
  };
  for (const std::string text : bad) {
    EXPECT_THROW(parse_run_config(text + "data: {source: synthetic}\n", "bad"), ConfigError) << text;
  }
}

TEST(ConfigDrift, NameOutputLoggingAndCheckpointingMayChange) {
  RunConfig changed = minimal();
  changed.name = "other";
  changed.output = "elsewhere";
  changed.logging.interval = 7;
  changed.checkpoint.interval = 3;
  changed.eval.interval = 5;
  changed.runtime.threads = 2;
  const ConfigDrift drift = compare_configs(minimal(), changed);
  EXPECT_TRUE(drift.refused.empty());
  EXPECT_TRUE(drift.named.empty());
}

TEST(ConfigDrift, WhatChangesTheTrainingIsRefusedByName) {
  struct Row {
    const char* key;
    void (*change)(RunConfig&);
  };
  const Row rows[] = {
      {"optimizer.learning_rate", [](RunConfig& c) { c.optimizer.learning_rate = 0.5; }},
      {"seed", [](RunConfig& c) { c.seed = 9; }},
      {"model.num_hidden_layers", [](RunConfig& c) { c.model.num_hidden_layers = 3; }},
      {"model.mlp_only_layers", [](RunConfig& c) { c.model.mlp_only_layers = {1}; }},
      {"data.shuffle", [](RunConfig& c) { c.data.shuffle = false; }},
      {"training.global_batch_size", [](RunConfig& c) { c.training.global_batch_size = 8; }},
      {"schedule.warmup_steps", [](RunConfig& c) { c.schedule.warmup_steps = 1; }},
  };
  for (const Row& row : rows) {
    RunConfig changed = minimal();
    row.change(changed);
    const ConfigDrift drift = compare_configs(minimal(), changed);
    ASSERT_EQ(drift.refused.size(), 1U) << row.key;
    EXPECT_EQ(drift.refused[0].rfind(row.key, 0), 0U) << drift.refused[0];
  }
}

TEST(ConfigDrift, ALayoutMayChangeButIsNamed) {
  RunConfig changed = minimal();
  changed.parallel.expert = 2;
  changed.training.micro_batch_size = 2;
  const ConfigDrift drift = compare_configs(minimal(), changed);
  EXPECT_TRUE(drift.refused.empty());
  EXPECT_EQ(drift.named.size(), 2U);
}

}  // namespace
}  // namespace moe::run
