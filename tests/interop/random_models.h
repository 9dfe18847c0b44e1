/// Small models of every architecture, drawn at random from what it can express.
#pragma once

#include <random>
#include <string>

#include "interop/hf_config.h"

namespace moe::interop::testing {

/// The same on every machine: no distribution of the standard library.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  std::int64_t below(std::int64_t n) {
    return static_cast<std::int64_t>(engine_() % static_cast<std::uint64_t>(n));
  }
  std::int64_t between(std::int64_t low, std::int64_t high) { return low + below(high - low + 1); }
  bool flip() { return below(2) == 1; }
  template <class T>
  T one_of(std::initializer_list<T> values) {
    return *(values.begin() + below(static_cast<std::int64_t>(values.size())));
  }

 private:
  std::mt19937_64 engine_;
};

inline void draw_rope(Dice& dice, ModelConfig& c) {
  c.rope_theta = dice.one_of({10000.0, 1e6, 500000.0, 12345.678, 0.1 + 0.2});
  c.rope_scaled = dice.flip();
  if (!c.rope_scaled) return;
  c.rope_scaling.rope_type = dice.one_of<std::string>({"default", "linear", "llama3"});
  c.rope_scaling.factor = dice.one_of({2.0, 8.0, 1.5});
  c.rope_scaling.low_freq_factor = dice.one_of({1.0, 0.5});
  c.rope_scaling.high_freq_factor = dice.one_of({4.0, 3.25});
  c.rope_scaling.original_max_position_embeddings = dice.one_of<std::int64_t>({8192, 32, 17});
}

inline ModelConfig draw_backbone(Dice& dice) {
  ModelConfig c;
  c.vocab_size = dice.between(2, 40);
  c.num_hidden_layers = dice.between(1, 5);
  c.num_attention_heads = dice.one_of<std::int64_t>({1, 2, 4, 6});
  if (dice.flip()) c.num_key_value_heads = dice.flip() ? 1 : c.num_attention_heads;
  c.hidden_size = c.num_attention_heads * 2 * dice.between(1, 3);
  if (dice.flip()) c.head_dim = 2 * dice.between(1, 4);
  c.intermediate_size = dice.between(1, 9);
  c.hidden_act = dice.one_of<std::string>({"silu", "swish", "gelu", "gelu_pytorch_tanh"});
  c.max_position_embeddings = dice.between(1, 100);
  c.rms_norm_eps = dice.one_of({1e-6, 1e-5, 3.3e-7});
  c.tie_word_embeddings = dice.flip();
  if (dice.flip()) c.pad_token_id = dice.below(c.vocab_size);
  c.initializer_range = dice.one_of({0.02, 0.0, 0.123});
  draw_rope(dice, c);
  return c;
}

inline void draw_layer_windows(Dice& dice, ModelConfig& c) {
  if (dice.flip()) return;
  c.sliding_window = dice.between(1, 50);
  if (dice.flip()) return;
  for (std::int64_t layer = 0; layer < c.num_hidden_layers; ++layer) {
    c.layer_types.emplace_back(dice.flip() ? "sliding_attention" : "full_attention");
  }
}

inline void draw_experts(Dice& dice, ModelConfig& c) {
  c.num_experts = dice.between(1, 5);
  c.num_experts_per_tok = dice.between(1, c.num_experts);
  c.balance_pooling = "model";
  c.router_aux_loss_coef = dice.one_of({0.01, 0.0, 0.37});
}

/// Some layers dense, by every rule there is; at least one is sparse.
inline void draw_sparse_layers(Dice& dice, ModelConfig& c) {
  c.moe_intermediate_size = dice.between(1, 6);
  c.norm_topk_prob = dice.flip();
  const std::int64_t last = c.num_hidden_layers - 1;
  switch (dice.below(5)) {
    case 0: return;
    case 1:
      c.sparse_layers = "step";
      c.decoder_sparse_step = dice.between(1, c.num_hidden_layers);
      return;
    case 2:
      c.sparse_layers = "after_dense";
      c.first_k_dense_replace = dice.between(0, last);
      return;
    case 3:
      c.sparse_layers = "list";
      c.sparse_layer_list = {dice.between(0, last)};
      return;
    default:
      if (last > 0) c.mlp_only_layers = {dice.below(last)};
  }
}

inline ModelConfig draw_model(Architecture architecture, std::uint64_t seed) {
  Dice dice(seed);
  ModelConfig c = draw_backbone(dice);
  switch (architecture) {
    case Architecture::Llama:
      c.attention_bias = c.attention_output_bias = dice.flip();
      return c;
    case Architecture::Mistral:
      if (dice.flip()) c.sliding_window = dice.between(1, 50);
      return c;
    case Architecture::Mixtral:
      if (dice.flip()) c.sliding_window = dice.between(1, 50);
      draw_experts(dice, c);
      if (dice.flip()) c.moe_intermediate_size = dice.between(1, 6);
      return c;
    case Architecture::Qwen2:
      c.attention_bias = true;
      draw_layer_windows(dice, c);
      return c;
    case Architecture::Qwen3:
      c.qk_norm = "per_head";
      c.attention_bias = c.attention_output_bias = dice.flip();
      draw_layer_windows(dice, c);
      return c;
    case Architecture::Qwen2Moe:
      c.attention_bias = dice.flip();
      draw_experts(dice, c);
      draw_sparse_layers(dice, c);
      c.shared_expert_intermediate_size = dice.between(1, 7);
      c.shared_expert_gate = true;
      draw_layer_windows(dice, c);
      return c;
    case Architecture::Qwen3Moe:
      c.qk_norm = "per_head";
      c.attention_bias = c.attention_output_bias = dice.flip();
      draw_experts(dice, c);
      draw_sparse_layers(dice, c);
      if (dice.flip()) c.sliding_window = dice.between(1, 50);
      return c;
    case Architecture::Olmoe:
      c.qk_norm = "whole";
      if (dice.flip()) c.clip_qkv = dice.one_of({0.5, 8.0});
      c.attention_bias = c.attention_output_bias = dice.flip();
      draw_experts(dice, c);
      c.norm_topk_prob = dice.flip();
      return c;
  }
  return c;
}

}  // namespace moe::interop::testing
