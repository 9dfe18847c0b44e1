#include "train/training_config.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "config/decode.h"

namespace moe::train {
namespace {

TrainingConfig decoded(const std::string& text) {
  return config::decode<TrainingConfig>(config::Document::parse(text, "training"));
}

TEST(TrainingConfig, StepsOfARunAreGivenOrFollowFromTokensRoundedUp) {
  struct Row {
    const char* text;
    std::int64_t steps;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"{steps: 7}", 7},
           {"{steps: 7, global_batch_size: 8, micro_batch_size: 2}", 7},
           {"{tokens: 1, sequence_length: 16}", 1},
           {"{tokens: 64, sequence_length: 16}", 1},
           {"{tokens: 65, sequence_length: 16}", 2},
           {"{tokens: 1024, sequence_length: 16, global_batch_size: 8}", 8},
           {"{tokens: 1023, sequence_length: 16, global_batch_size: 8}", 8},
           {"{tokens: 4000000000000, sequence_length: 4096, global_batch_size: 1024}", 953675}}) {
    EXPECT_EQ(decoded(row.text).total_steps(), row.steps) << row.text;
  }
}

TEST(TrainingConfig, ContradictionsAreRefusedByKey) {
  struct Row {
    const char* text;
    const char* message;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"{}", "steps: give exactly one of steps and tokens"},
           {"{steps: 1, tokens: 1}", "steps: give exactly one of steps and tokens"},
           {"{steps: 1, micro_batch_size: 3, global_batch_size: 4}",
            "micro_batch_size: must divide global_batch_size (4), got 3"},
           {"{steps: 1, micro_batch_size: 8, global_batch_size: 4}", "micro_batch_size"},
           {"{steps: 0}", "steps"},
           {"{tokens: 0}", "tokens"},
           {"{steps: 1, sequence_length: 0}", "sequence_length"},
           {"{steps: 1, micro_batch_size: 0}", "micro_batch_size"},
           {"{steps: 1, global_batch_size: 0}", "global_batch_size"},
           {"{steps: 1, gradient_clip: -1}", "gradient_clip"}}) {
    try {
      decoded(row.text);
      ADD_FAILURE() << row.text << " was accepted";
    } catch (const ConfigError& error) {
      EXPECT_NE(std::string(error.what()).find(row.message), std::string::npos)
          << row.text << ": " << error.what();
    }
  }
}

TEST(TrainingConfig, DecodesEveryKey) {
  const TrainingConfig given = decoded(
      "{steps: 3, sequence_length: 5, micro_batch_size: 2, global_batch_size: 6,"
      " gradient_clip: 0.0, recompute: true}");
  EXPECT_EQ(given.steps, 3);
  EXPECT_EQ(given.sequence_length, 5);
  EXPECT_EQ(given.micro_batch_size, 2);
  EXPECT_EQ(given.global_batch_size, 6);
  EXPECT_EQ(given.gradient_clip, 0.0);
  EXPECT_TRUE(given.recompute);
}

TEST(EvalConfig, DecodesEveryKeyWithItsBounds) {
  const auto eval = [](const char* text) {
    return config::decode<EvalConfig>(config::Document::parse(text, "eval"));
  };
  const EvalConfig given = eval("{interval: 9, final: false, batches: 4}");
  EXPECT_EQ(given.interval, 9);
  EXPECT_FALSE(given.final_evaluation);
  EXPECT_EQ(given.batches, 4);
  EXPECT_FALSE(eval("{batches: null}").batches.has_value());
  EXPECT_THROW(eval("{interval: -1}"), ConfigError);
  EXPECT_THROW(eval("{batches: 0}"), ConfigError);
}

}  // namespace
}  // namespace moe::train
