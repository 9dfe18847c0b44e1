// Dense -> MoE: the function is kept, shapes and refusals.
#include "growth/sparsify.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "growth/computed_source.h"
#include "growth/sparse_config.h"
#include "growth/tiny_models.h"
#include "interop/hf_config_writer.h"
#include "model/counts.h"
#include "support/tolerance.h"

namespace moe::growth {
namespace {

using ::testing::HasSubstr;
using testing::in_memory;
using testing::random_source;
using testing::relative_difference;
using testing::tiny_dense;

class SparsifyTest : public testing::ContextTest {};

ModelSource grown(const ModelSource& source, const SparsifyConfig& options, std::uint64_t seed = 5,
                  int index = 2) {
  const auto stage = make_sparsify(options);
  return {stage->grow(source.config), stage->apply(source, {.seed = seed, .index = index})};
}

struct Unit {
  const char* act;
  bool gated;
};
constexpr Unit kUnits[] = {{"silu", true},  {"gelu", true},  {"gelu_pytorch_tanh", true},
                           {"relu2", true}, {"relu2", false}, {"gelu", false},
                           {"silu", false}};

/// Llama, Qwen2 and Qwen3 in small, and units that no published model has.
std::vector<ModelConfig> dense_models() {
  std::vector<ModelConfig> models;
  for (const Unit& unit : kUnits) {
    models.push_back(tiny_dense());
    models.back().hidden_act = unit.act;
    models.back().mlp_gated = unit.gated;
  }
  models.push_back(tiny_dense());
  models.back().attention_bias = true;
  models.push_back(tiny_dense());
  models.back().qk_norm = "per_head";
  models.back().tie_word_embeddings = true;
  return models;
}

// Property 1 of growth: whole copies are exact for any router and any K >= 2.
TEST_F(SparsifyTest, Property1CopiesAreExact) {
  for (const ModelConfig& config : dense_models()) {
    for (const std::int64_t choices : {2, 3, 5}) {
      for (const double deviation : {0.0, 0.02, 3.0}) {
        SCOPED_TRACE(format("{} gated {} K {} std {}", config.hidden_act, config.mlp_gated, choices,
                            deviation));
        const SparsifyConfig options{
            .num_experts = 5, .num_experts_per_tok = choices, .router_std = deviation};
        const ModelSource dense = random_source(config, DType::F64);
        const ModelSource sparse = grown(dense, options);
        testing::expect_complete(sparse);
        EXPECT_TRUE(make_sparsify(options)->keeps_function(config));
        EXPECT_LE(relative_difference(dense, sparse), testing::kExactGrowthF64);
        const ModelSource dense32 = random_source(config, DType::F32);
        const Comparison f32 = testing::compared(dense32, grown(dense32, options), DType::F32);
        EXPECT_LE(f32.max_difference / f32.max_logit, testing::kExactGrowthF32);
        EXPECT_NEAR(f32.loss_after, f32.loss_before, testing::kExactGrowthLoss);
      }
    }
  }
}

/// One linear layer deep, so that the rounding of the weights is all there is.
TEST_F(SparsifyTest, Property1InBf16WithinTheRoundingOfTheWeights) {
  ModelConfig config = tiny_dense();
  config.num_hidden_layers = 1;
  const ModelSource dense = random_source(config, DType::BF16);
  const ModelSource sparse = grown(dense, {.num_experts = 4, .num_experts_per_tok = 2});
  EXPECT_LE(relative_difference(dense, sparse, DType::F32), testing::kExactGrowthF32);
  // Hidden states, logits and their differences are rounded to bf16 besides.
  EXPECT_LE(relative_difference(dense, sparse, DType::BF16), 4 * testing::kExactGrowthBF16);
}

TEST_F(SparsifyTest, Property1OtherTensorsAreBitIdentical) {
  for (const DType dtype : {DType::F32, DType::BF16}) {
    const ModelSource dense = random_source(tiny_dense(), dtype);
    const ModelSource sparse = grown(dense, {});
    std::int64_t kept = 0;
    for (const std::string& name : dense.weights->names()) {
      if (!sparse.weights->contains(name)) continue;
      ++kept;
      EXPECT_EQ(testing::bytes_of(*dense.weights, name), testing::bytes_of(*sparse.weights, name));
    }
    EXPECT_EQ(kept, 3 + 3 * 6);
    for (std::int64_t expert = 0; expert < 8; ++expert) {
      Slice slice = whole(Shape{8, 2, 24, 12});
      slice.begin[0] = expert;
      slice.size.set(0, 1);
      slice.flat_end = slice.size.numel();
      EXPECT_EQ(testing::bytes_of(*sparse.weights, "layers.1.moe.experts.gate_up.weight", slice),
                testing::bytes_of(*dense.weights, "layers.1.mlp.gate_up.weight"));
    }
  }
}

TEST_F(SparsifyTest, SharedExpertsKeepTheFunction) {
  for (const bool gated : {false, true}) {
    for (const std::int64_t shared : {1, 2, 3}) {
      for (const char* method : {"copy", "granular"}) {
        SCOPED_TRACE(format("gated {} shared {} {}", gated, shared, method));
        ModelConfig config = tiny_dense();
        config.attention_bias = gated;
        SparsifyConfig options{.method = method, .num_experts = 4, .shared_experts = shared};
        if (options.method == "granular") options.granularity = 2;
        const ModelSource dense = random_source(config, DType::F64);
        const ModelSource sparse = grown(dense, options);
        EXPECT_EQ(sparse.config.shared_expert_intermediate_size, shared * 24);
        EXPECT_EQ(sparse.config.shared_expert_gate, gated);
        testing::expect_complete(sparse);
        EXPECT_LE(relative_difference(dense, sparse), testing::kExactGrowthF64);
        testing::expect_same_by_any_slice(*sparse.weights);
      }
    }
  }
}

TEST_F(SparsifyTest, ASharedExpertLearnsFromTheFirstStep) {
  ModelConfig config = tiny_dense();
  config.attention_bias = true;
  const ModelSource sparse = grown(random_source(config), {});
  for (const char* part : {"shared.gate_up", "shared.down"}) {
    const auto values = testing::values_of(*sparse.weights, sparse_name(0, part));
    EXPECT_TRUE(std::ranges::any_of(values, [](double v) { return v != 0; })) << part;
  }
}

TEST_F(SparsifyTest, RouterRowsHaveTheGivenDeviation) {
  ModelConfig config = tiny_dense();
  config.hidden_size = 256;
  const ModelSource sparse =
      grown(random_source(config), {.num_experts = 64, .router_std = 0.05});
  const auto rows = testing::values_of(*sparse.weights, "layers.0.moe.router.weight");
  double sum = 0;
  double squares = 0;
  for (const double value : rows) {
    sum += value;
    squares += value * value;
  }
  const auto count = static_cast<double>(rows.size());
  const double error = 0.05 / std::sqrt(count);
  EXPECT_NEAR(sum / count, 0, 4 * error);
  EXPECT_NEAR(std::sqrt(squares / count), 0.05, 4 * error);
  EXPECT_NE(rows, testing::values_of(*sparse.weights, "layers.1.moe.router.weight"));
}

TEST_F(SparsifyTest, NoiseHasTheGivenDeviationAndIsNotExact) {
  const SparsifyConfig options{.num_experts = 8, .noise_std = 0.5};
  EXPECT_FALSE(make_sparsify(options)->keeps_function(tiny_dense()));
  const ModelSource dense = random_source(tiny_dense());
  const ModelSource noisy = grown(dense, options);
  const ModelSource plain = grown(dense, {.num_experts = 8});
  for (const char* part : {"experts.gate_up", "experts.down"}) {
    const auto a = testing::values_of(*noisy.weights, sparse_name(1, part));
    const auto b = testing::values_of(*plain.weights, sparse_name(1, part));
    double squares = 0;
    for (std::size_t i = 0; i < a.size(); ++i) squares += (a[i] - b[i]) * (a[i] - b[i]);
    const auto count = static_cast<double>(a.size());
    EXPECT_NEAR(std::sqrt(squares / count), 0.5, 4 * 0.5 / std::sqrt(2 * count)) << part;
  }
  testing::expect_same_by_any_slice(*noisy.weights);
}

// Property 8: a function of seed and position in the plan, whatever reads it.
TEST_F(SparsifyTest, Property8SameSeedSameBytesByAnySlice) {
  for (const char* method : {"copy", "granular", "drop"}) {
    for (const DType dtype : {DType::F32, DType::BF16}) {
      SCOPED_TRACE(format("{} {}", method, to_string(dtype)));
      SparsifyConfig options{.method = method, .num_experts = 6, .noise_std = 0.01};
      if (options.method == "granular") options.granularity = 2;
      const ModelSource dense = random_source(tiny_dense(), dtype);
      const ModelSource once = grown(dense, options);
      testing::expect_same_by_any_slice(*once.weights);
      EXPECT_TRUE(testing::same_weights(*once.weights, *grown(dense, options).weights));
      EXPECT_FALSE(testing::same_weights(*once.weights, *grown(dense, options, 6).weights));
      EXPECT_FALSE(testing::same_weights(*once.weights, *grown(dense, options, 5, 3).weights));
    }
  }
}

TEST_F(SparsifyTest, WithoutRenormalisationAUniformRouterIsExact) {
  for (const std::int64_t choices : {1, 2, 3}) {
    SparsifyConfig options{.num_experts = 6,
                           .num_experts_per_tok = choices,
                           .norm_topk_prob = false,
                           .router_std = 0.0};
    const ModelSource dense = random_source(tiny_dense(), DType::F64);
    EXPECT_TRUE(make_sparsify(options)->keeps_function(dense.config));
    EXPECT_LE(relative_difference(dense, grown(dense, options)), testing::kExactGrowthF64);
    options.router_std = 0.5;
    EXPECT_FALSE(make_sparsify(options)->keeps_function(dense.config));
    EXPECT_GT(relative_difference(dense, grown(dense, options)), testing::kExactGrowthF32);
  }
}

TEST_F(SparsifyTest, TakesTheArchitectureThatFits) {
  using interop::Architecture;
  ModelConfig config = tiny_dense();
  EXPECT_EQ(sparse_architecture(config), Architecture::Mixtral);
  config.attention_bias = true;
  EXPECT_EQ(sparse_architecture(config), Architecture::Qwen2Moe);
  const ModelConfig qwen2 = make_sparsify({})->grow(config);
  EXPECT_EQ(qwen2.shared_expert_intermediate_size, config.intermediate_size);
  EXPECT_TRUE(qwen2.shared_expert_gate);
  EXPECT_EQ(make_sparsify({.shared_experts = 0})->grow(config).shared_expert_intermediate_size, 0);
  config.attention_output_bias = true;
  EXPECT_EQ(sparse_architecture(config), std::nullopt);
  config.qk_norm = "per_head";
  EXPECT_EQ(sparse_architecture(config), Architecture::Qwen3Moe);
  config.qk_norm = "whole";
  EXPECT_EQ(sparse_architecture(config), Architecture::Olmoe);
  config.mlp_gated = false;
  EXPECT_EQ(sparse_architecture(config), std::nullopt);
}

TEST_F(SparsifyTest, ResultsCanBeExported) {
  ModelConfig llama = tiny_dense();
  ModelConfig qwen2 = tiny_dense();
  qwen2.attention_bias = true;
  ModelConfig qwen3 = tiny_dense();
  qwen3.qk_norm = "per_head";
  const SparsifyConfig granular{.method = "granular", .granularity = 2};
  const SparsifyConfig pattern{.layers = "step", .decoder_sparse_step = 2};
  for (const SparsifyConfig& options : {SparsifyConfig{}, granular, pattern}) {
    for (const ModelConfig& dense : {llama, qwen2, qwen3}) {
      const auto architecture = *sparse_architecture(dense);
      const auto reasons = interop::obstacles(architecture, make_sparsify(options)->grow(dense));
      // Mixtral has no dense layers.
      const bool possible =
          architecture != interop::Architecture::Mixtral || options.layers == "all";
      EXPECT_EQ(reasons.empty(), possible)
          << interop::to_string(architecture) << (reasons.empty() ? "" : ": " + reasons[0]);
    }
  }
}

struct LayersRow {
  const char* what;
  SparsifyConfig options;
  std::vector<std::int64_t> sparse;
};

TEST_F(SparsifyTest, LayersThatStayDenseAreUntouched) {
  const std::vector<LayersRow> rows{
      {"all", {}, {0, 1, 2}},
      {"every second", {.layers = "step", .decoder_sparse_step = 2}, {1}},
      {"but the first", {.layers = "after_dense", .first_k_dense_replace = 1}, {1, 2}},
      {"listed", {.layers = "list", .sparse_layer_list = {0, 2}}, {0, 2}},
      {"with an exception", {.mlp_only_layers = {1}}, {0, 2}},
  };
  for (const bool qwen : {false, true}) {
    for (const LayersRow& row : rows) {
      SCOPED_TRACE(row.what);
      ModelConfig config = tiny_dense();
      config.qk_norm = qwen ? "per_head" : "none";
      const ModelSource dense = random_source(config, DType::F64);
      const ModelSource sparse = grown(dense, row.options);
      std::vector<std::int64_t> found;
      for (std::int64_t layer = 0; layer < 3; ++layer) {
        if (sparse.config.is_sparse(layer)) found.push_back(layer);
      }
      EXPECT_EQ(found, row.sparse);
      EXPECT_EQ(sparse.config.sparse_layers, qwen ? "step" : row.options.layers);
      testing::expect_complete(sparse);
      EXPECT_LE(relative_difference(dense, sparse), testing::kExactGrowthF64);
    }
  }
}

struct Refusal {
  const char* option;
  const char* names;
  SparsifyConfig options;
};

TEST_F(SparsifyTest, RefusesTheImpossibleAndSaysWhatIsPossible) {
  const std::vector<Refusal> rows{
      {"sparsify.num_experts_per_tok", "1 to 4", {.num_experts = 4, .num_experts_per_tok = 5}},
      {"sparsify.num_experts_per_tok", "no gradient", {.num_experts_per_tok = 1}},
      {"sparsify.num_experts_per_tok",
       "no gradient",
       {.num_experts = 1, .num_experts_per_tok = 1}},
      {"sparsify.granularity", "1, 2", {.method = "granular"}},
      {"sparsify.granularity",
       "num_experts_per_tok (2)",
       {.method = "granular", .num_experts = 12, .granularity = 4}},
      {"sparsify.granularity",
       "num_experts (9)",
       {.method = "granular", .num_experts = 9, .num_experts_per_tok = 2, .granularity = 2}},
      {"sparsify.granularity",
       "intermediate_size (24)",
       {.method = "granular", .num_experts = 10, .num_experts_per_tok = 5, .granularity = 5}},
      {"sparsify.granularity", "got 2 with method copy", {.granularity = 2}},
      {"sparsify.sparse_layer_list",
       "layers 0 to 2",
       {.layers = "list", .sparse_layer_list = {3}}},
      {"sparsify.mlp_only_layers", "no layer 7", {.mlp_only_layers = {7}}},
      {"sparsify.layers", "no layer", {.layers = "list"}},
      {"sparsify.layers", "step 4", {.layers = "step", .decoder_sparse_step = 4}},
  };
  for (const Refusal& row : rows) {
    SCOPED_TRACE(row.names);
    try {
      make_sparsify(row.options)->grow(tiny_dense());
      ADD_FAILURE() << "not refused";
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), HasSubstr(row.option));
      EXPECT_THAT(error.what(), HasSubstr(row.names));
    }
  }
}

TEST_F(SparsifyTest, RefusesASourceThatIsSparse) {
  try {
    make_sparsify({})->grow(testing::tiny_sparse(4, 2));
    ADD_FAILURE() << "not refused";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("4 experts already"));
    EXPECT_THAT(error.what(), HasSubstr("expand"));
  }
}

// The published shape, with the query, key and value biases it has.
TEST_F(SparsifyTest, CountsOfAquilaMoe) {
  ModelConfig config;
  config.vocab_size = 151851;
  config.hidden_size = 5120;
  config.num_hidden_layers = 40;
  config.num_attention_heads = 40;
  config.num_key_value_heads = 8;
  config.intermediate_size = 20480;
  config.attention_bias = true;
  const ParameterCount count =
      count_parameters(make_sparsify({.shared_experts = 0})->grow(config));
  EXPECT_EQ(human_count(static_cast<double>(count.total)), "104.74 B");
  EXPECT_EQ(human_count(static_cast<double>(count.active)), "29.24 B");
}

TEST_F(SparsifyTest, IsRegisteredWithItsDefaults) {
  const auto options = stages().find("sparsify")();
  EXPECT_EQ(options->make()->method(), "copy");
}

}  // namespace
}  // namespace moe::growth
