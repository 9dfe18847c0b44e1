// Property 4 of model growth: depth maps.
#include "growth/deepen.h"

#include "growth/depth_maps.h"
#include "growth/sparse_pattern.h"
#include "growth/support.h"

namespace moe::growth {
namespace {

using Layers = std::vector<std::int64_t>;

TEST(DepthMaps, Property4InterpolationTables) {
  EXPECT_EQ(interpolate(32, 40).from,
            (Layers{0,  0,  1,  2,  3,  4,  4,  5,  6,  7,  8,  8,  9,  10, 11, 12, 12, 13, 14, 15,
                    16, 16, 17, 18, 19, 20, 20, 21, 22, 23, 24, 24, 25, 26, 27, 28, 28, 29, 30, 31}));
  EXPECT_EQ(interpolate(24, 32).from,
            (Layers{0,  0,  1,  2,  3,  3,  4,  5,  6,  6,  7,  8,  9,  9,  10, 11,
                    12, 12, 13, 14, 15, 15, 16, 17, 18, 18, 19, 20, 21, 21, 22, 23}));
  EXPECT_EQ(interpolate(3, 6).from, (Layers{0, 0, 1, 1, 2, 2}));
}

TEST(DepthMaps, Property4StackingRepeatsTheModel) {
  EXPECT_EQ(stack(3, 8).from, (Layers{0, 1, 2, 0, 1, 2, 0, 1}));
  EXPECT_EQ(stack(24, 32).from[24], 0);
  EXPECT_EQ(stack(24, 32).from[31], 7);
}

TEST(DepthMaps, IdentitySpreadsNewBlocks) {
  const DepthMap even = identity(4, 6);  // after every second layer, as LLaMA-Pro
  EXPECT_EQ(even.from, (Layers{0, 1, 1, 2, 3, 3}));
  EXPECT_EQ(even.silent, (std::vector<bool>{false, false, true, false, false, true}));
  EXPECT_EQ(identity(3, 5).from, (Layers{0, 1, 1, 2, 2}));
  EXPECT_EQ(identity(2, 7).from, (Layers{0, 0, 0, 1, 1, 1, 1}));
  EXPECT_EQ(identity(1, 1).from, (Layers{0}));
}

TEST(DepthMaps, Property4HoldsForAllSmallDepths) {
  for (std::int64_t from = 1; from <= 13; ++from) {
    for (std::int64_t to = from; to <= 40; ++to) {
      const DepthMap even = interpolate(from, to);
      const DepthMap pro = identity(from, to);
      EXPECT_EQ(even.from.front(), 0);
      EXPECT_EQ(even.from.back(), from - 1);
      EXPECT_TRUE(std::ranges::is_sorted(even.from));
      EXPECT_EQ(static_cast<std::int64_t>(pro.from.size()), to);
      std::vector<std::int64_t> loud;
      std::int64_t gap = 0;
      std::int64_t longest = 0;
      for (std::size_t l = 0; l < pro.from.size(); ++l) {
        EXPECT_EQ(even.from[l], static_cast<std::int64_t>(l) * from / to);
        if (!pro.silent[l]) loud.push_back(pro.from[l]);
        gap = pro.silent[l] ? gap + 1 : 0;
        longest = std::max(longest, gap);
      }
      Layers all(static_cast<std::size_t>(from));
      for (std::int64_t l = 0; l < from; ++l) all[static_cast<std::size_t>(l)] = l;
      EXPECT_EQ(loud, all) << from << " -> " << to;
      EXPECT_LE(longest, (to - from + from - 1) / from);
    }
  }
}

class Deepen : public GrowthTest {};

TEST_F(Deepen, Property4IdentityLeavesLogitsBitForBit) {
  ModelConfig dense = tiny_config();
  dense.attention_bias = dense.attention_output_bias = true;
  ModelConfig ungated = tiny_config();
  ungated.mlp_gated = false;
  for (const ModelConfig& config : {dense, ungated, tiny_moe_config()}) {
    for (const DType dtype : {DType::F64, DType::F32, DType::BF16}) {
      const ModelSource source = random_model(config, dtype);
      for (const std::int64_t layers : {3, 4, 5, 8, 10}) {
        const ModelSource deep = deepen(source, "identity", layers);
        EXPECT_TRUE(make_deepen({"identity", layers})->keeps_function(config));
        EXPECT_EQ(logits_of(deep, dtype), logits_of(source, dtype)) << to_string(dtype) << layers;
      }
    }
  }
}

TEST_F(Deepen, NewBlocksOfIdentityLearn) {
  const ModelSource deep = deepen(random_model(tiny_config()), "identity", 4);
  const auto down = values_of(*after_a_step(deep), "layers.3.mlp.down.weight");
  EXPECT_TRUE(std::ranges::any_of(down, [](double w) { return w != 0.0; }));
}

TEST_F(Deepen, LayersAreCopiesOfTheMapped) {
  const ModelSource source = random_model(tiny_config());
  for (const auto& [method, layer, from] :
       {std::tuple{"stack", 4, 1}, std::tuple{"interpolate", 3, 1}}) {
    const ModelSource deep = deepen(source, method, 6);
    EXPECT_FALSE(make_deepen({method, 6})->keeps_function(source.config));
    for (const char* part : {"attention.q_proj.weight", "mlp.down.weight", "attention_norm.weight"}) {
      EXPECT_EQ(values_of(*deep.weights, format("layers.{}.{}", layer, part)),
                values_of(*source.weights, format("layers.{}.{}", from, part)));
    }
    EXPECT_EQ(values_of(*deep.weights, "norm.weight"), values_of(*source.weights, "norm.weight"));
  }
}

TEST_F(Deepen, SayWhereLayersComeFrom) {
  EXPECT_EQ(make_deepen({"interpolate", 5})->depth_map(tiny_config()), (Layers{0, 0, 1, 1, 2}));
  EXPECT_EQ(make_widen({.hidden_size = 16})->depth_map(tiny_config()), std::nullopt);
}

struct Pattern {
  std::string name;
  std::function<void(ModelConfig&)> rules;
};

void PrintTo(const Pattern& row, std::ostream* out) { *out << row.name; }

class SparsePatterns : public testing::ContextTest, public ::testing::WithParamInterface<Pattern> {};

TEST_P(SparsePatterns, FollowTheirLayers) {
  ModelConfig config = tiny_moe_config();
  config.num_hidden_layers = 4;
  config.mlp_only_layers.clear();
  GetParam().rules(config);
  const ModelSource source = random_model(config);
  for (const char* method : {"stack", "interpolate", "identity"}) {
    for (const std::int64_t layers : {4, 5, 6, 8, 11}) {
      const ModelSource deep = deepen(source, method, layers);
      const Layers map = *make_deepen({method, layers})->depth_map(config);
      for (std::int64_t l = 0; l < layers; ++l) {
        EXPECT_EQ(deep.config.is_sparse(l), config.is_sparse(map[static_cast<std::size_t>(l)]));
        EXPECT_EQ(deep.config.window_of(l), config.window_of(map[static_cast<std::size_t>(l)]));
      }
      if (std::string(method) == "identity") { EXPECT_EQ(logits_of(deep), logits_of(source)); }
      load_model(deep);  // every tensor is there, in its shape
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Rules, SparsePatterns,
    ::testing::Values(
        Pattern{"All", [](auto&) {}},
        Pattern{"Step", [](auto& c) { c.sparse_layers = "step"; c.decoder_sparse_step = 2; }},
        Pattern{"StepButOne",
                [](auto& c) { c.sparse_layers = "step"; c.decoder_sparse_step = 2; c.mlp_only_layers = {3}; }},
        Pattern{"AfterDense",
                [](auto& c) { c.sparse_layers = "after_dense"; c.first_k_dense_replace = 1; }},
        Pattern{"List", [](auto& c) { c.sparse_layers = "list"; c.sparse_layer_list = {0, 3}; }},
        Pattern{"AllButOne", [](auto& c) { c.mlp_only_layers = {2}; }},
        Pattern{"Windows",
                [](auto& c) {
                  c.sliding_window = 4;
                  c.layer_types = {"sliding_attention", "full_attention", "sliding_attention",
                                   "full_attention"};
                }},
        Pattern{"OneWindow", [](auto& c) { c.sliding_window = 4; }}),
    [](const ::testing::TestParamInfo<Pattern>& row) { return row.param.name; });

TEST(SparsePattern, KeepsTheKindOfRuleWhereItCan) {
  ModelConfig config = tiny_moe_config();
  config.mlp_only_layers.clear();
  config.sparse_layers = "after_dense";
  config.first_k_dense_replace = 1;
  config.num_hidden_layers = 4;
  set_sparse_layers(config, {false, false, true, true});
  EXPECT_EQ(config.sparse_layers, "after_dense");
  EXPECT_EQ(config.first_k_dense_replace, 2);
  set_sparse_layers(config, {true, false, true, true});
  EXPECT_EQ(config.sparse_layers, "all");
  EXPECT_EQ(config.mlp_only_layers, (Layers{1}));
  ModelConfig dense = tiny_config();
  set_sparse_layers(dense, {false, false, false});
  EXPECT_EQ(dense.mlp_only_layers, Layers{});
}

TEST(DeepenRefuses, FewerLayersAndNone) {
  const std::string fewer = refusal([] { deepened(tiny_config(), {"stack", 2}); });
  EXPECT_NE(fewer.find("deepen.num_hidden_layers: got 2"), std::string::npos) << fewer;
  EXPECT_NE(fewer.find("3 or more"), std::string::npos) << fewer;
  EXPECT_NE(refusal([] { deepened(tiny_config(), {}); }).find("must be given"), std::string::npos);
}

}  // namespace
}  // namespace moe::growth
