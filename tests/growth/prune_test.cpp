// Fewer experts by leaving out those of least router-weighted norm.
#include "growth/prune.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "growth/computed_source.h"
#include "growth/tiny_models.h"
#include "support/tolerance.h"

namespace moe::growth {
namespace {

using ::testing::ElementsAre;
using testing::random_source;
using testing::tiny_sparse;

class PruneTest : public testing::ContextTest {};

ModelSource pruned(const ModelSource& source, PruneConfig options) {
  options.calibration.tokens = 80;
  const auto stage = make_prune(options);
  return {stage->grow(source.config), stage->apply(source, {.seed = 4, .index = 1})};
}

TEST(Saliency, IsAMeanOverTheTokensRoutedThere) {
  LayerMeasure measure;
  measure.routed = {4, 0, 1};
  measure.saliency = {2, 0, 3};
  EXPECT_THAT(reap_saliency(measure), ElementsAre(0.5, 0, 3));
}

TEST(Saliency, TheMostSalientKeepTheirOrder) {
  EXPECT_THAT(most_salient({1, 5, 0, 5, 2}, 3), ElementsAre(1, 3, 4));
  EXPECT_THAT(most_salient({1, 1, 1}, 2), ElementsAre(0, 1));
  EXPECT_THAT(most_salient({3, 1}, 2), ElementsAre(0, 1));
}

TEST_F(PruneTest, KeepsTheSalientBitByBit) {
  const ModelSource source = testing::in_memory(
      random_source(tiny_sparse(4, 2), DType::BF16),
      [](const std::string& name, std::vector<double>& values) {
        if (!name.ends_with("experts.down.weight")) return;
        const std::size_t each = values.size() / 4;
        // Expert 1 does next to nothing.
        for (std::size_t i = each; i < 2 * each; ++i) values[i] /= 1024;
      });
  const ModelSource smaller = pruned(source, {.num_experts = 3});
  testing::expect_complete(smaller);
  testing::expect_same_by_any_slice(*smaller.weights);
  for (std::int64_t layer = 0; layer < 3; ++layer) {
    for (const char* part : {"router", "experts.gate_up", "experts.down"}) {
      const auto before = testing::values_of(*source.weights, sparse_name(layer, part));
      const auto after = testing::values_of(*smaller.weights, sparse_name(layer, part));
      const std::size_t each = before.size() / 4;
      const std::size_t kept[] = {0, 2, 3};
      for (std::size_t i = 0; i < after.size(); ++i) {
        EXPECT_EQ(after[i], before[kept[i / each] * each + i % each]);
      }
    }
  }
}

/// Without renormalisation the small probabilities of a token must not count against its experts.
TEST_F(PruneTest, Property9SaliencyUsesRenormalisedWeights) {
  ModelConfig config = tiny_sparse(6, 2);
  config.num_hidden_layers = 1;
  ModelSource source = random_source(config);
  const auto tokens = calibration_tokens({.tokens = 80}, config, {});
  source.config.norm_topk_prob = true;
  const auto renormalised = reap_saliency(calibrate(source, tokens).at(0));
  source.config.norm_topk_prob = false;
  const auto plain = reap_saliency(calibrate(source, tokens).at(0));
  for (std::size_t e = 0; e < 6; ++e) {
    EXPECT_NEAR(plain[e], renormalised[e],
                testing::tolerance(DType::F32, 24) * renormalised[e]);
  }
}

TEST_F(PruneTest, Property9PruningNothingIsTheIdentity) {
  const ModelSource source = random_source(tiny_sparse(4, 2));
  const PruneConfig options{.num_experts = 4};
  EXPECT_TRUE(make_prune(options)->keeps_function(source.config));
  EXPECT_TRUE(testing::same_weights(*source.weights, *pruned(source, options).weights));
}

TEST_F(PruneTest, ChoicesShrinkWithTheExperts) {
  EXPECT_EQ(make_prune({.num_experts = 1})->grow(tiny_sparse(4, 2)).num_experts_per_tok, 1);
  EXPECT_EQ(make_prune({.num_experts = 3})->grow(tiny_sparse(4, 2)).num_experts_per_tok, 2);
  EXPECT_FALSE(make_prune({.num_experts = 3})->keeps_function(tiny_sparse(4, 2)));
  EXPECT_THROW(make_prune({.num_experts = 5})->grow(tiny_sparse(4, 2)), ConfigError);
  EXPECT_THROW(make_prune({})->grow(testing::tiny_dense()), ConfigError);
}

}  // namespace
}  // namespace moe::growth
