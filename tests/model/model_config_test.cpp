#include "model/model_config.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/format.h"
#include "config/decode.h"

namespace moe {
namespace {

ModelConfig decoded(const std::string& text) {
  return config::decode<ModelConfig>(config::Document::parse(text, "model"));
}

struct Sparse {
  const char* text;
  std::string pattern;  ///< x: sparse
};

const Sparse kSparse[] = {
    {"{num_experts: 0, num_hidden_layers: 4}", "----"},
    {"{num_experts: 4, num_hidden_layers: 4}", "xxxx"},
    {"{num_experts: 4, num_hidden_layers: 4, mlp_only_layers: [0, 2]}", "-x-x"},
    {"{num_experts: 4, num_hidden_layers: 5, sparse_layers: step, decoder_sparse_step: 1}",
     "xxxxx"},
    {"{num_experts: 4, num_hidden_layers: 5, sparse_layers: step, decoder_sparse_step: 2}",
     "-x-x-"},
    {"{num_experts: 4, num_hidden_layers: 7, sparse_layers: step, decoder_sparse_step: 3}",
     "--x--x-"},
    {"{num_experts: 4, num_hidden_layers: 6, sparse_layers: step, decoder_sparse_step: 2,"
     " mlp_only_layers: [3]}",
     "-x---x"},
    {"{num_experts: 4, num_hidden_layers: 4, sparse_layers: after_dense}", "xxxx"},
    {"{num_experts: 4, num_hidden_layers: 4, sparse_layers: after_dense,"
     " first_k_dense_replace: 1}",
     "-xxx"},
    {"{num_experts: 4, num_hidden_layers: 4, sparse_layers: after_dense,"
     " first_k_dense_replace: 3}",
     "---x"},
    {"{num_experts: 4, num_hidden_layers: 4, sparse_layers: list, sparse_layer_list: [3, 1]}",
     "-x-x"},
    {"{num_experts: 4, num_hidden_layers: 4, sparse_layers: list, sparse_layer_list: [0, 1],"
     " mlp_only_layers: [1]}",
     "x---"},
    // Keys of other rules do not count.
    {"{num_experts: 4, num_hidden_layers: 4, decoder_sparse_step: 2, first_k_dense_replace: 2,"
     " sparse_layer_list: [0]}",
     "xxxx"},
};

TEST(ModelConfig, SparseLayersFollowTheRule) {
  for (const Sparse& row : kSparse) {
    const ModelConfig config = decoded(row.text);
    std::string pattern;
    for (std::int64_t layer = 0; layer < config.num_hidden_layers; ++layer)
      pattern += config.is_sparse(layer) ? 'x' : '-';
    EXPECT_EQ(pattern, row.pattern) << row.text;
    EXPECT_EQ(config.sparse_layer_count(), std::count(row.pattern.begin(), row.pattern.end(), 'x'))
        << row.text;
  }
}

TEST(ModelConfig, WindowsAreOfSlidingLayersOnly) {
  struct Row {
    const char* text;
    std::vector<std::int64_t> windows;
  };
  const Row rows[] = {
      {"{num_hidden_layers: 2}", {0, 0}},
      {"{num_hidden_layers: 2, sliding_window: 7}", {7, 7}},
      {"{num_hidden_layers: 3, sliding_window: 7,"
       " layer_types: [full_attention, sliding_attention, full_attention]}",
       {0, 7, 0}},
      {"{num_hidden_layers: 2, layer_types: [full_attention, full_attention]}", {0, 0}},
  };
  for (const Row& row : rows) {
    const ModelConfig config = decoded(row.text);
    for (std::size_t layer = 0; layer < row.windows.size(); ++layer) {
      EXPECT_EQ(config.window_of(static_cast<std::int64_t>(layer)), row.windows[layer])
          << row.text << " layer " << layer;
    }
  }
}

TEST(ModelConfig, AbsentSizesFollowFromOthers) {
  const ModelConfig plain =
      decoded("{hidden_size: 96, num_attention_heads: 6, intermediate_size: 50, num_experts: 2}");
  EXPECT_EQ(plain.key_value_heads(), 6);
  EXPECT_EQ(plain.head_width(), 16);
  EXPECT_EQ(plain.expert_width(), 50);
  const ModelConfig given = decoded(
      "{hidden_size: 96, num_attention_heads: 6, num_key_value_heads: 2, head_dim: 10,"
      " intermediate_size: 50, moe_intermediate_size: 9, num_experts: 2}");
  EXPECT_EQ(given.key_value_heads(), 2);
  EXPECT_EQ(given.head_width(), 10);
  EXPECT_EQ(given.expert_width(), 9);
}

TEST(ModelConfig, RopeScalingReachesTheTable) {
  const nn::RopeSpec plain = decoded("{rope_theta: 123.0}").rope_spec();
  EXPECT_EQ(plain.theta, 123.0);
  EXPECT_EQ(plain.type, "default");
  EXPECT_EQ(plain.factor, 1.0);
  const nn::RopeSpec scaled =
      decoded(
          "{rope_theta: 5000.0, rope_scaling: {rope_type: llama3, factor: 8.0,"
          " low_freq_factor: 1.5, high_freq_factor: 4.5, original_max_position_embeddings: 128}}")
          .rope_spec();
  EXPECT_EQ(scaled.theta, 5000.0);
  EXPECT_EQ(scaled.type, "llama3");
  EXPECT_EQ(scaled.factor, 8.0);
  EXPECT_EQ(scaled.low_frequency_factor, 1.5);
  EXPECT_EQ(scaled.high_frequency_factor, 4.5);
  EXPECT_EQ(scaled.original_max_positions, 128);
}

TEST(ModelConfig, BalanceSpecIsTheConfigs) {
  const BalanceSpec spec = decoded(
                               "{num_experts: 6, num_experts_per_tok: 3, balance_loss: global,"
                               " balance_pooling: model}")
                               .balance_spec();
  EXPECT_EQ(spec.type, "global");
  EXPECT_TRUE(spec.pool_layers);
  EXPECT_EQ(spec.experts, 6);
  EXPECT_EQ(spec.choices, 3);
  EXPECT_FALSE(decoded("{balance_pooling: layer}").balance_spec().pool_layers);
}

TEST(ModelConfig, ActivationsByName) {
  using ops::ActivationKind;
  EXPECT_EQ(activation_of("silu"), ActivationKind::Silu);
  EXPECT_EQ(activation_of("swish"), ActivationKind::Silu);
  EXPECT_EQ(activation_of("gelu"), ActivationKind::GeluErf);
  EXPECT_EQ(activation_of("gelu_pytorch_tanh"), ActivationKind::GeluTanh);
  EXPECT_EQ(activation_of("relu2"), ActivationKind::Relu2);
  EXPECT_THROW(activation_of("relu"), ConfigError);
}

/// A contradiction, and the key whose message must say so.
struct Contradiction {
  const char* text;
  const char* key;
};

const Contradiction kContradictions[] = {
    {"{num_attention_heads: 8, num_key_value_heads: 3}", "num_key_value_heads: must divide"},
    {"{num_attention_heads: 2, num_key_value_heads: 4}", "num_key_value_heads: must divide"},
    {"{hidden_size: 100, num_attention_heads: 8}", "num_attention_heads: must divide hidden_size"},
    {"{hidden_size: 24, num_attention_heads: 8}", "head_dim: must be even"},
    {"{head_dim: 7}", "head_dim: must be even"},
    {"{num_experts: 4, num_experts_per_tok: 5}", "num_experts_per_tok: must be at most"},
    {"{num_hidden_layers: 3, layer_types: [full_attention, full_attention]}",
     "layer_types: expected 3 entries"},
    {"{num_hidden_layers: 1, layer_types: [sliding_attention]}",
     "layer_types: has sliding_attention, but sliding_window is null"},
    {"{num_experts: 4, shared_expert_gate: true}",
     "shared_expert_gate: needs shared_expert_intermediate_size"},
    {"{num_experts: 4, num_hidden_layers: 2, sparse_layers: list, sparse_layer_list: [0, 2]}",
     "sparse_layer_list: layer 2 is not below"},
    {"{num_experts: 4, num_hidden_layers: 2, sparse_layers: list}", "no layer is sparse"},
    {"{num_experts: 4, num_hidden_layers: 2, mlp_only_layers: [0, 1]}", "no layer is sparse"},
    {"{num_experts: 4, num_hidden_layers: 2, sparse_layers: step, decoder_sparse_step: 3}",
     "no layer is sparse"},
    {"{vocab_size: 1}", "vocab_size"},
    {"{num_experts: -1}", "num_experts"},
    {"{num_experts_per_tok: 0}", "num_experts_per_tok"},
    {"{hidden_act: relu}", "hidden_act"},
    {"{qk_norm: both}", "qk_norm"},
    {"{sliding_window: 0}", "sliding_window"},
    {"{clip_qkv: 0}", "clip_qkv"},
    {"{capacity_factor: 0}", "capacity_factor"},
    {"{balance_loss: batch}", "balance_loss"},
    {"{router: sigmoid}", "router"},
    {"{router_aux_loss_coef: -0.1}", "router_aux_loss_coef"},
    {"{rope_scaling: {rope_type: yarn}}", "rope_type"},
    {"{mlp_only_layers: [-1]}", "mlp_only_layers"},
};

TEST(ModelConfig, ContradictionsAreRefusedByKey) {
  for (const Contradiction& row : kContradictions) {
    try {
      decoded(row.text);
      ADD_FAILURE() << row.text << " was accepted";
    } catch (const ConfigError& error) {
      EXPECT_NE(std::string(error.what()).find(row.key), std::string::npos)
          << row.text << ": " << error.what();
    }
  }
}

TEST(ModelConfig, TheEdgesAreAllowed) {
  for (const char* text : {
           "{num_attention_heads: 8, num_key_value_heads: 8}",
           "{num_attention_heads: 8, num_key_value_heads: 1}",
           "{hidden_size: 100, num_attention_heads: 8, head_dim: 2}",
           "{num_experts: 4, num_experts_per_tok: 4}",
           "{num_experts: 1, num_experts_per_tok: 1}",
           "{num_experts: 0, num_experts_per_tok: 9}",
           "{num_hidden_layers: 1, layer_types: [full_attention]}",
           "{num_experts: 4, shared_expert_gate: true, shared_expert_intermediate_size: 1}",
           "{num_experts: 4, num_hidden_layers: 2, sparse_layers: list, sparse_layer_list: [1]}",
           "{num_experts: 4, num_hidden_layers: 3, sparse_layers: step, decoder_sparse_step: 3}",
       }) {
    EXPECT_NO_THROW(decoded(text)) << text;
  }
}

}  // namespace
}  // namespace moe
