// Scale-Out and the way back on many small random models: what a stage claims is what it does.
#include "growth/densify.h"
#include "growth/expand.h"
#include "growth/merge.h"
#include "growth/prune.h"
#include "growth/sparsify.h"
#include "growth/tiny_models.h"
#include "support/tolerance.h"

namespace moe::growth {
namespace {

constexpr std::uint64_t kModels = 40;

class RandomScaleOut : public testing::ContextTest {};

/// Draws in the order they are asked for.
class Draw {
 public:
  explicit Draw(std::uint64_t model) : random_(model, "random scale-out") {}
  std::int64_t from(std::int64_t low, std::int64_t high) {
    const auto bound = static_cast<std::uint64_t>(high - low + 1);
    return low + static_cast<std::int64_t>(random_.below(bound, next_++));
  }
  bool coin() { return from(0, 1) == 1; }
  template <class T>
  T one_of(std::initializer_list<T> values) {
    return *(values.begin() + from(0, static_cast<std::int64_t>(values.size()) - 1));
  }

 private:
  Random random_;
  std::uint64_t next_ = 0;
};

ModelConfig random_dense(Draw& draw) {
  ModelConfig config;
  config.vocab_size = draw.from(2, 40);
  config.num_key_value_heads = draw.from(1, 2);
  config.num_attention_heads = *config.num_key_value_heads * draw.from(1, 3);
  config.head_dim = 2 * draw.from(1, 3);
  config.hidden_size = draw.from(1, 17);
  config.num_hidden_layers = draw.from(1, 4);
  config.intermediate_size = draw.from(1, 5) * draw.one_of<std::int64_t>({1, 2, 3, 4, 8});
  config.max_position_embeddings = 32;
  config.hidden_act = draw.one_of({"silu", "gelu", "gelu_pytorch_tanh", "relu2"});
  config.mlp_gated = draw.from(0, 3) != 0;
  config.attention_bias = draw.coin();
  config.attention_output_bias = config.attention_bias && draw.coin();
  config.qk_norm = draw.one_of({"none", "none", "per_head", "whole"});
  config.tie_word_embeddings = draw.coin();
  if (draw.coin()) config.sliding_window = draw.from(1, 9);
  return config;
}

SparsifyConfig random_sparsify(Draw& draw, const ModelConfig& dense) {
  SparsifyConfig o;
  o.method = draw.one_of({"copy", "granular", "drop"});
  std::int64_t granularity = 1;
  if (o.method == "granular") {
    do {
      granularity = draw.from(1, 8);
    } while (dense.intermediate_size % granularity != 0);
    o.granularity = granularity;
  }
  const std::int64_t replicas = draw.from(2, 4);
  o.num_experts = replicas * granularity;
  o.num_experts_per_tok = draw.from(1, replicas) * granularity;
  o.norm_topk_prob = o.num_experts_per_tok > 1 && draw.from(0, 3) != 0;
  o.scaling = draw.one_of({"exact", "exact", "root"});
  if (draw.coin()) o.shared_experts = draw.from(0, 3);
  o.router_std = draw.one_of({0.0, 0.02, 1.0});
  o.noise_std = draw.one_of({0.0, 0.0, 0.0, 0.1});
  o.ratio = draw.one_of({0.0, 0.3, 1.0});
  o.index = draw.one_of({"shared", "independent"});
  if (draw.coin() && dense.num_hidden_layers > 1) {
    o.layers = draw.one_of({"step", "after_dense", "list"});
    o.decoder_sparse_step = draw.from(1, dense.num_hidden_layers);
    o.first_k_dense_replace = draw.from(0, dense.num_hidden_layers - 1);
    o.sparse_layer_list = {draw.from(0, dense.num_hidden_layers - 1)};
  }
  return o;
}

void expect_as_claimed(const ModelSource& before, const ModelSource& after, bool claimed) {
  const double difference = testing::relative_difference(before, after);
  EXPECT_TRUE(std::isfinite(difference));
  EXPECT_TRUE(!claimed || difference <= testing::kExactGrowthF64) << difference;
}

TEST_F(RandomScaleOut, SparsifyKeepsWhatItClaimsAndDensifyReturns) {
  std::int64_t exact = 0;
  for (std::uint64_t model = 0; model < kModels; ++model) {
    SCOPED_TRACE(model);
    Draw draw(model);
    const ModelSource dense = testing::random_source(random_dense(draw), DType::F64, model);
    const SparsifyConfig options = random_sparsify(draw, dense.config);
    const auto stage = make_sparsify(options);
    const ModelSource sparse{stage->grow(dense.config),
                             stage->apply(dense, {.seed = model, .index = 1})};
    testing::expect_complete(sparse);
    testing::expect_same_by_any_slice(*sparse.weights);
    const bool claimed = stage->keeps_function(dense.config);
    exact += claimed ? 1 : 0;
    expect_as_claimed(dense, sparse, claimed);
    if (!claimed && options.scaling != "root") continue;
    if (options.noise_std != 0 || options.method == "drop") continue;
    const auto back = make_densify({.granularity = options.granularity.value_or(1),
                                    .scaling = options.scaling});
    const ModelSource returned{back->grow(sparse.config), back->apply(sparse, {})};
    testing::expect_complete(returned);
    testing::expect_same_by_any_slice(*returned.weights);
    EXPECT_LE(testing::relative_difference(dense, returned), testing::kExactGrowthF64);
  }
  EXPECT_GT(exact, static_cast<std::int64_t>(kModels) / 5);
}

ModelConfig random_sparse(Draw& draw) {
  ModelConfig config = random_dense(draw);
  config.num_experts = draw.from(2, 6);
  config.num_experts_per_tok = draw.from(1, config.num_experts);
  config.norm_topk_prob = draw.coin();
  if (draw.coin()) config.moe_intermediate_size = draw.from(1, 9);
  if (draw.coin()) config.shared_expert_intermediate_size = draw.from(1, 9);
  config.shared_expert_gate = config.shared_expert_intermediate_size > 0 && draw.coin();
  if (config.num_hidden_layers > 1 && draw.coin()) config.mlp_only_layers = {draw.from(0, 1)};
  return config;
}

TEST_F(RandomScaleOut, ExpandIsUndoneByMergeToTheBit) {
  for (std::uint64_t model = 0; model < kModels; ++model) {
    SCOPED_TRACE(model);
    Draw draw(model);
    const ModelSource source = testing::random_source(random_sparse(draw), DType::BF16, model);
    const std::int64_t factor = draw.from(1, 3);
    const auto stage = make_expand(
        {.num_experts = source.config.num_experts * factor,
         .num_experts_per_tok = source.config.num_experts_per_tok * factor});
    const ModelSource larger{stage->grow(source.config),
                             stage->apply(source, {.seed = model, .index = 2})};
    testing::expect_complete(larger);
    EXPECT_TRUE(stage->keeps_function(source.config));
    expect_as_claimed(source, larger, true);
    const auto back = make_merge({.method = draw.coin() ? "frequency" : "clustering",
                                  .num_experts = source.config.num_experts,
                                  .num_experts_per_tok = source.config.num_experts_per_tok,
                                  .calibration = {.tokens = 40}});
    const ModelSource returned{back->grow(larger.config), back->apply(larger, {.seed = model})};
    testing::expect_complete(returned);
    EXPECT_TRUE(testing::same_weights(*source.weights, *returned.weights));
  }
}

TEST_F(RandomScaleOut, FewerExpertsAreWholeModels) {
  for (std::uint64_t model = 0; model < kModels; ++model) {
    SCOPED_TRACE(model);
    Draw draw(model);
    const ModelSource source = testing::random_source(random_sparse(draw), DType::F32, model);
    const std::int64_t fewer = draw.from(1, source.config.num_experts);
    std::unique_ptr<Stage> stage;
    if (draw.coin()) {
      stage = make_prune({.num_experts = fewer, .calibration = {.tokens = 30}});
    } else {
      stage = make_merge({.num_experts = fewer, .calibration = {.tokens = 30}});
    }
    const ModelSource smaller{stage->grow(source.config), stage->apply(source, {.seed = model})};
    testing::expect_complete(smaller);
    testing::expect_same_by_any_slice(*smaller.weights);
    expect_as_claimed(source, smaller, stage->keeps_function(source.config));
    EXPECT_TRUE(std::isfinite(testing::compared(source, smaller, DType::F32).loss_after));
  }
}

}  // namespace
}  // namespace moe::growth
