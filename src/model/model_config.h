/// The architecture of a decoder, in Hugging Face's names (Qwen3-MoE's spelling where architectures differ). One config
/// spans Llama, Mistral, Mixtral, Qwen2, Qwen3, Qwen2-MoE, Qwen3-MoE and OLMoE.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/fields.h"
#include "moe/balance_loss.h"
#include "nn/attention.h"
#include "nn/rope.h"
#include "ops/activation.h"

namespace moe {

struct RopeScalingConfig {
  std::string rope_type = "default";
  double factor = 1.0;
  double low_freq_factor = 1.0;
  double high_freq_factor = 4.0;
  std::int64_t original_max_position_embeddings = 8192;

  void fields(config::Fields& f);
};

struct ModelConfig {
  std::int64_t vocab_size = 32000;
  std::int64_t hidden_size = 512;
  std::int64_t num_hidden_layers = 8;
  std::int64_t num_attention_heads = 8;
  std::optional<std::int64_t> num_key_value_heads;  ///< none: as many as attention heads
  std::optional<std::int64_t> head_dim;             ///< none: hidden_size / num_attention_heads
  std::int64_t intermediate_size = 1024;            ///< of dense layers
  std::string hidden_act = "silu";
  bool mlp_gated = true;
  std::int64_t max_position_embeddings = 4096;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000.0;
  bool rope_scaled = false;
  RopeScalingConfig rope_scaling;
  bool tie_word_embeddings = false;
  bool attention_bias = false;         ///< on q, k, v
  bool attention_output_bias = false;  ///< on o
  std::string qk_norm = "none";        ///< none, per_head, whole
  std::optional<double> clip_qkv;
  std::optional<std::int64_t> sliding_window;
  std::vector<std::string> layer_types;  ///< empty: sliding everywhere if sliding_window is set
  std::optional<std::int64_t> pad_token_id;
  double initializer_range = 0.02;
  bool scaled_output_init = false;  ///< o and down projections start smaller by sqrt(2 layers)

  std::int64_t num_experts = 0;  ///< 0: a dense model
  std::int64_t num_experts_per_tok = 2;
  std::optional<std::int64_t> moe_intermediate_size;  ///< none: intermediate_size
  bool norm_topk_prob = true;
  std::string router = "softmax_topk";
  std::int64_t shared_expert_intermediate_size = 0;
  bool shared_expert_gate = false;
  std::string sparse_layers = "all";       ///< all, step, after_dense, list
  std::int64_t decoder_sparse_step = 1;    ///< step: layer i is sparse when (i + 1) % step == 0
  std::int64_t first_k_dense_replace = 0;  ///< after_dense: this many dense layers first
  std::vector<std::int64_t> mlp_only_layers;     ///< dense whatever the rule says
  std::vector<std::int64_t> sparse_layer_list;   ///< list: exactly these
  std::optional<double> capacity_factor;
  std::optional<double> eval_capacity_factor;
  std::string drop_policy = "position";  ///< position, weight
  std::string balance_loss = "micro_batch";
  std::string balance_pooling = "layer";  ///< layer, model
  double router_aux_loss_coef = 0.01;
  double router_z_loss_coef = 0.0;

  void fields(config::Fields& f);

  std::int64_t key_value_heads() const { return num_key_value_heads.value_or(num_attention_heads); }
  std::int64_t head_width() const { return head_dim.value_or(hidden_size / num_attention_heads); }
  std::int64_t expert_width() const { return moe_intermediate_size.value_or(intermediate_size); }
  bool is_sparse(std::int64_t layer) const;
  std::int64_t sparse_layer_count() const;
  /// Keys a query of this layer sees, itself included; 0 = all before it.
  std::int64_t window_of(std::int64_t layer) const;
  nn::RopeSpec rope_spec() const;
  BalanceSpec balance_spec() const;
};

/// @throws ConfigError for an unknown name
ops::ActivationKind activation_of(const std::string& hidden_act);

}  // namespace moe
