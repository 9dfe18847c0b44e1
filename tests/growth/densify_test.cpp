// MoE -> dense: exact growth undone (property 9 of growth).
#include "growth/densify.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "growth/computed_source.h"
#include "growth/sparsify.h"
#include "growth/tiny_models.h"
#include "support/tolerance.h"

namespace moe::growth {
namespace {

using ::testing::HasSubstr;
using testing::random_source;
using testing::relative_difference;
using testing::tiny_dense;
using testing::tiny_sparse;

class DensifyTest : public testing::ContextTest {};

ModelSource grown(const ModelSource& source, const SparsifyConfig& options) {
  const auto stage = make_sparsify(options);
  return {stage->grow(source.config), stage->apply(source, {.seed = 4, .index = 1})};
}
ModelSource densified(const ModelSource& source, const DensifyConfig& options) {
  const auto stage = make_densify(options);
  return {stage->grow(source.config), stage->apply(source, {.seed = 4, .index = 2})};
}

/// Llama, Qwen2 (a gated shared expert) and Qwen3; every unit.
std::vector<ModelConfig> dense_models() {
  std::vector<ModelConfig> models(6, tiny_dense());
  models[1].attention_bias = true;
  models[2].qk_norm = "per_head";
  models[3].hidden_act = "relu2";
  models[3].mlp_gated = false;
  models[4].hidden_act = "gelu";
  models[4].mlp_gated = false;
  models[5].hidden_act = "gelu_pytorch_tanh";
  return models;
}

void expect_returned(const ModelSource& dense, const SparsifyConfig& growth,
                     const DensifyConfig& back) {
  const ModelSource returned = densified(grown(dense, growth), back);
  testing::expect_complete(returned);
  EXPECT_EQ(returned.config.num_experts, 0);
  EXPECT_EQ(returned.config.intermediate_size, dense.config.intermediate_size);
  EXPECT_EQ(returned.config.shared_expert_intermediate_size, 0);
  EXPECT_EQ(returned.config.sparse_layers, dense.config.sparse_layers);
  EXPECT_TRUE(testing::same_weights(*dense.weights, *returned.weights));
}

TEST_F(DensifyTest, Property9AverageUndoesCopiesBitByBit) {
  for (const ModelConfig& config : dense_models()) {
    for (const DType dtype : {DType::F32, DType::BF16, DType::F64}) {
      for (const std::int64_t experts : {2, 3, 7}) {
        SCOPED_TRACE(format("{} {} E {}", config.hidden_act, to_string(dtype), experts));
        const ModelSource dense = random_source(config, dtype);
        expect_returned(dense, {.num_experts = experts}, {.method = "average"});
        expect_returned(dense, {.num_experts = experts}, {.method = "concatenate"});
      }
    }
  }
}

TEST_F(DensifyTest, Property9ConcatenateUndoesShardsBitByBit) {
  for (const ModelConfig& config : dense_models()) {
    for (const DType dtype : {DType::F32, DType::BF16, DType::F64}) {
      for (const std::int64_t granularity : {2, 4, 8}) {
        SCOPED_TRACE(format("{} {} G {}", config.hidden_act, to_string(dtype), granularity));
        const ModelSource dense = random_source(config, dtype);
        expect_returned(dense,
                        {.method = "granular",
                         .num_experts = 3 * granularity,
                         .num_experts_per_tok = granularity,
                         .granularity = granularity},
                        {});
      }
    }
  }
}

TEST_F(DensifyTest, SharedExpertsAndPatternsAreUndoneToo) {
  const ModelSource dense = random_source(tiny_dense(), DType::BF16);
  expect_returned(dense, {.shared_experts = 2}, {.method = "average"});
  expect_returned(dense, {.num_experts = 4, .num_experts_per_tok = 1, .norm_topk_prob = false},
                  {.method = "average"});
  expect_returned(dense,
                  {.method = "granular",
                   .num_experts = 8,
                   .num_experts_per_tok = 2,
                   .granularity = 2,
                   .shared_experts = 1,
                   .layers = "after_dense",
                   .first_k_dense_replace = 1},
                  {});
}

TEST_F(DensifyTest, ScalesThatAreNoPowersOfTwoReturnToRounding) {
  const ModelSource dense = random_source(tiny_dense(), DType::F64);
  const ModelSource sparse = grown(dense, {.method = "granular",
                                           .num_experts = 6,
                                           .num_experts_per_tok = 3,
                                           .granularity = 3,
                                           .shared_experts = 3});
  EXPECT_LE(relative_difference(dense, densified(sparse, {})), testing::kExactGrowthF64);
  const ModelSource root = grown(dense, {.method = "granular",
                                         .num_experts = 6,
                                         .num_experts_per_tok = 2,
                                         .granularity = 2,
                                         .scaling = "root"});
  EXPECT_LE(relative_difference(dense, densified(root, {.scaling = "root"})),
            testing::kExactGrowthF64);
  EXPECT_GT(relative_difference(dense, densified(root, {})), testing::kExactGrowthF32);
}

TEST_F(DensifyTest, ExpertsThatDifferAreAveraged) {
  const ModelSource source = random_source(tiny_sparse(3, 2));
  const ModelSource dense = densified(source, {.method = "average"});
  EXPECT_FALSE(make_densify({})->keeps_function(source.config));
  testing::expect_same_by_any_slice(*dense.weights);
  for (const auto& [theirs, ours] :
       {std::pair("experts.gate_up", "gate_up"), std::pair("experts.down", "down")}) {
    const auto before = testing::values_of(*source.weights, sparse_name(1, theirs));
    const auto after = testing::values_of(*dense.weights, dense_name(1, ours));
    for (std::size_t i = 0; i < after.size(); ++i) {
      const double mean =
          (before[i] + before[after.size() + i] + before[2 * after.size() + i]) / 3;
      EXPECT_NEAR(after[i], mean, testing::tolerance(DType::F32, 3));
    }
  }
}

TEST_F(DensifyTest, AnySliceOfAGranularModelWithSharedExperts) {
  ModelConfig config = tiny_sparse(6, 2);
  config.moe_intermediate_size = 8;
  config.shared_expert_intermediate_size = 48;
  config.shared_expert_gate = true;
  config.mlp_only_layers = {0};
  const ModelSource source = random_source(config, DType::BF16);
  const ModelSource dense = densified(source, {});
  EXPECT_EQ(dense.config.intermediate_size, 24);
  testing::expect_complete(dense);
  testing::expect_same_by_any_slice(*dense.weights);
}

TEST_F(DensifyTest, RefusesTheImpossible) {
  const auto refused = [](const ModelConfig& config, const DensifyConfig& options,
                          const char* says) {
    try {
      make_densify(options)->grow(config);
      ADD_FAILURE() << says << " is not said";
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), HasSubstr(says));
    }
  };
  refused(tiny_dense(), {}, "dense already");
  refused(tiny_sparse(4, 2), {.granularity = 3}, "possible: 1, 2, 4");
  refused(tiny_sparse(4, 2), {.method = "average", .granularity = 2}, "method: concatenate");
  ModelConfig mixed = tiny_sparse(4, 2);
  mixed.moe_intermediate_size = 12;
  mixed.mlp_only_layers = {2};
  refused(mixed, {.method = "average"}, "one intermediate_size");
  ModelConfig shared = tiny_sparse(4, 2);
  shared.shared_expert_intermediate_size = 25;
  refused(shared, {}, "multiple");
}

}  // namespace
}  // namespace moe::growth
