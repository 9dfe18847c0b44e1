// Fewer experts by averaging: what were copies is found again (property 9 of growth).
#include "growth/merge.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "growth/calibration.h"
#include "growth/computed_source.h"
#include "growth/expand.h"
#include "growth/sparsify.h"
#include "growth/tiny_models.h"
#include "support/tolerance.h"

namespace moe::growth {
namespace {

using ::testing::HasSubstr;
using testing::random_source;
using testing::relative_difference;
using testing::tiny_sparse;

class MergeTest : public testing::ContextTest {};

ModelSource merged(const ModelSource& source, MergeConfig options) {
  options.calibration.tokens = 60;
  const auto stage = make_merge(options);
  return {stage->grow(source.config), stage->apply(source, {.seed = 4, .index = 1})};
}
ModelSource expanded(const ModelSource& source, const ExpandConfig& options) {
  const auto stage = make_expand(options);
  return {stage->grow(source.config), stage->apply(source, {.seed = 4, .index = 1})};
}
ModelSource sparsified(const ModelSource& source, const SparsifyConfig& options) {
  const auto stage = make_sparsify(options);
  return {stage->grow(source.config), stage->apply(source, {.seed = 4, .index = 1})};
}

TEST_F(MergeTest, Property9CopiesComeBackBitByBit) {
  for (const char* method : {"frequency", "clustering"}) {
    for (const DType dtype : {DType::F32, DType::BF16, DType::F64}) {
      for (const double noise : {0.0, 0.01}) {
        SCOPED_TRACE(format("{} {} noise {}", method, to_string(dtype), noise));
        const ModelSource source = random_source(tiny_sparse(4, 2), dtype);
        const ModelSource larger = expanded(
            source, {.num_experts = 8, .num_experts_per_tok = 4, .expert_noise = noise});
        const ModelSource back = merged(
            larger, {.method = method, .num_experts = 4, .num_experts_per_tok = 2});
        EXPECT_EQ(back.config.num_experts, source.config.num_experts);
        EXPECT_EQ(back.config.num_experts_per_tok, source.config.num_experts_per_tok);
        // Copies that cancel are used equally, so that their mean is the original to the bit too.
        EXPECT_TRUE(testing::same_weights(*source.weights, *back.weights));
      }
    }
  }
}

TEST_F(MergeTest, Property9CopiesOfADenseLayerBecomeOneExpert) {
  for (const char* method : {"frequency", "clustering"}) {
    const ModelSource dense = random_source(testing::tiny_dense(), DType::F64);
    const ModelSource sparse = sparsified(dense, {.num_experts = 6, .router_std = 1.0});
    const ModelSource one = merged(sparse, {.method = method, .num_experts = 1});
    EXPECT_EQ(one.config.num_experts_per_tok, 1);
    EXPECT_EQ(testing::bytes_of(*one.weights, sparse_name(2, "experts.down")),
              testing::bytes_of(*dense.weights, dense_name(2, "down")));
    EXPECT_EQ(testing::bytes_of(*one.weights, sparse_name(2, "experts.gate_up")),
              testing::bytes_of(*dense.weights, dense_name(2, "gate_up")));
    EXPECT_LE(relative_difference(dense, one), testing::kExactGrowthF64);
  }
}

/// Expert 1's neurons put in another order: its outputs do not change, nor may the merged expert.
ModelSource with_permuted_expert(const ModelSource& source) {
  return testing::in_memory(source, [](const std::string& name, std::vector<double>& values) {
    const bool down = name.ends_with("experts.down.weight");
    if (!down && !name.ends_with("experts.gate_up.weight")) return;
    const std::vector<double> before = values;
    const std::size_t each = values.size() / 2;
    for (std::size_t i = each; i < values.size(); ++i) {
      const std::size_t place = down ? i % 24 : i / 12 % 24;
      const std::size_t neuron = (place * 7 + 5) % 24;
      values[i] = before[i + (neuron - place) * (down ? 1 : 12)];
    }
  });
}

TEST_F(MergeTest, Property9OrderOfNeuronsDoesNotMatter) {
  const ModelSource dense = random_source(testing::tiny_dense(), DType::F64);
  const ModelSource sparse = sparsified(dense, {.num_experts = 2, .router_std = 1.0});
  const ModelSource permuted = with_permuted_expert(sparse);
  EXPECT_LE(relative_difference(sparse, permuted), testing::kExactGrowthF64);
  const ModelSource one = merged(permuted, {.num_experts = 1});
  EXPECT_LE(relative_difference(dense, one), testing::kExactGrowthF64);
  testing::expect_same_by_any_slice(*one.weights);
  const ModelSource crooked = merged(permuted, {.num_experts = 1, .align = false});
  EXPECT_GT(relative_difference(dense, crooked), testing::kExactGrowthF32);
}

TEST_F(MergeTest, MeansAreWeightedByUse) {
  const ModelSource source = random_source(tiny_sparse(2, 1));
  const ModelSource one = merged(source, {.num_experts = 1, .align = false});
  const auto measure =
      calibrate(source, calibration_tokens({.tokens = 60}, source.config, {.seed = 4})).at(1);
  const double share = measure.routed[1] / 60;
  ASSERT_GT(share, 0);
  ASSERT_LT(share, 1);
  for (const char* part : {"router", "experts.gate_up", "experts.down"}) {
    const auto before = testing::values_of(*source.weights, sparse_name(1, part));
    const auto after = testing::values_of(*one.weights, sparse_name(1, part));
    for (std::size_t i = 0; i < after.size(); ++i) {
      EXPECT_NEAR(after[i], before[i] * (1 - share) + before[after.size() + i] * share,
                  testing::tolerance(DType::F32) * 4);
    }
  }
}

TEST_F(MergeTest, Property9MergingNothingIsTheIdentity) {
  const ModelSource source = random_source(tiny_sparse(4, 2));
  const MergeConfig options{.num_experts = 4};
  EXPECT_TRUE(make_merge(options)->keeps_function(source.config));
  EXPECT_TRUE(testing::same_weights(*source.weights, *merged(source, options).weights));
}

TEST_F(MergeTest, ResultsAreCompleteAndTheSameByAnySlice) {
  for (const char* method : {"frequency", "clustering"}) {
    for (const bool gated : {true, false}) {
      ModelConfig config = tiny_sparse(5, 2);
      config.mlp_gated = gated;
      config.mlp_only_layers = {0};
      config.shared_expert_intermediate_size = 5;
      const ModelSource source = random_source(config, DType::BF16);
      const ModelSource back = merged(source, {.method = method, .num_experts = 3});
      testing::expect_complete(back);
      testing::expect_same_by_any_slice(*back.weights);
      EXPECT_TRUE(testing::same_weights(
          *back.weights, *merged(source, {.method = method, .num_experts = 3}).weights));
      EXPECT_FALSE(make_merge({.method = method, .num_experts = 3})->keeps_function(config));
    }
  }
}

TEST_F(MergeTest, RefusesTheImpossible) {
  const auto refused = [](const MergeConfig& options, const char* option, const char* possible) {
    try {
      make_merge(options)->grow(tiny_sparse(4, 2));
      ADD_FAILURE() << option;
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), HasSubstr(option));
      EXPECT_THAT(error.what(), HasSubstr(possible));
    }
  };
  refused({.num_experts = 5}, "merge.num_experts: ", "possible: 1 to 4");
  refused({.num_experts = 2, .num_experts_per_tok = 3}, "merge.num_experts_per_tok",
          "possible: 1 to 2");
  EXPECT_THROW(make_merge({})->grow(testing::tiny_dense()), ConfigError);
}

}  // namespace
}  // namespace moe::growth
