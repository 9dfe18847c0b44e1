#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/counts.h"
#include "run/memory_plan.h"
#include "run/train_run.h"

namespace moe::run {
namespace {

RunConfig small_run() {
  return parse_run_config(
      "data: {source: synthetic}\n"
      "model: {vocab_size: 64, hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 4,\n"
      "  intermediate_size: 48, num_experts: 4, num_experts_per_tok: 2}\n"
      "training: {tokens: 5000, sequence_length: 16, micro_batch_size: 2, global_batch_size: 8}\n",
      "small");
}

TEST(DescribeRun, TellsSizesStepsAndMemory) {
  const RunConfig config = small_run();
  const auto told = nlohmann::json::parse(describe_run(config, 4, true));
  EXPECT_EQ(told["mesh"]["ranks"], 4);
  EXPECT_EQ(told["mesh"]["data"], 4);
  EXPECT_EQ(told["mesh"]["expert"], 1);
  EXPECT_EQ(told["parameters"]["total"], count_parameters(config.model).total);
  EXPECT_EQ(told["parameters"]["active"], count_parameters(config.model).active);
  EXPECT_EQ(told["flops_per_token"].get<double>(), training_flops_per_token(config.model, 16));
  EXPECT_EQ(told["steps"], 40) << "5000 tokens by 128 a step";
  EXPECT_EQ(told["tokens"], 5120);
  MemoryPlan plan = plan_memory(config, require_fit(config, 4));
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < kMemoryCategories; ++i) {
    const auto category = static_cast<MemoryCategory>(i);
    EXPECT_EQ(told["memory_per_rank"][to_string(category)], plan[category]);
    sum += plan[category];
  }
  EXPECT_EQ(told["memory_per_rank"]["total"], plan.total);
  EXPECT_LT(plan.total, sum) << "not all at once";
  EXPECT_EQ(told["memory_per_rank"]["resident"], plan.resident());
  const std::string text = describe_run(config, 4, false);
  EXPECT_NE(text.find("mesh: 4 ranks, data 4, expert 1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("steps: 40, tokens: 5,120\n"), std::string::npos) << text;
}

TEST(DescribeRun, RefusesRanksThatDoNotFit) {
  RunConfig config = small_run();
  EXPECT_THROW(describe_run(config, 3, true), ConfigError) << "8 sequences by 3 ranks of 2";
  config.parallel.expert = 3;
  EXPECT_THROW(describe_run(config, 3, true), ConfigError) << "4 experts over 3 ranks";
  config = small_run();
  config.schedule.name = "wsd";
  config.schedule.warmup_steps = 30;
  config.schedule.decay_steps = 30;
  EXPECT_THROW(describe_run(config, 4, true), ConfigError) << "60 of 40 steps";
}

TEST(ComputeDtype, Bf16NeedsACpuThatHasItOrEmulation) {
  RuntimeConfig runtime;
  std::string said;
  const auto chosen = [&](const char* dtype, CpuIsa isa, bool emulated) {
    said.clear();
    runtime.compute_dtype = dtype;
    runtime.emulate_bf16 = emulated;
    return choose_compute_dtype(runtime, isa, [&](const std::string& text) { said = text; });
  };
  EXPECT_EQ(chosen("f32", CpuIsa::Avx512Bf16, true), DType::F32);
  EXPECT_EQ(chosen("bf16", CpuIsa::Avx512Bf16, false), DType::BF16);
  EXPECT_EQ(chosen("bf16", CpuIsa::Avx2, true), DType::BF16);
  EXPECT_TRUE(said.empty());
  EXPECT_EQ(chosen("bf16", CpuIsa::Avx512, false), DType::F32);
  EXPECT_NE(said.find("computing in f32"), std::string::npos) << said;
}

}  // namespace
}  // namespace moe::run
