#include "model/model_config.h"

#include <algorithm>

#include "base/error.h"
#include "base/format.h"
#include "moe/router.h"

namespace moe {
namespace {

const std::vector<std::string> kActivations{"silu", "swish", "gelu", "gelu_pytorch_tanh", "relu2"};

}  // namespace

ops::ActivationKind activation_of(const std::string& hidden_act) {
  using ops::ActivationKind;
  if (hidden_act == "silu" || hidden_act == "swish") return ActivationKind::Silu;
  if (hidden_act == "gelu") return ActivationKind::GeluErf;
  if (hidden_act == "gelu_pytorch_tanh") return ActivationKind::GeluTanh;
  if (hidden_act == "relu2") return ActivationKind::Relu2;
  throw ConfigError(format("model.hidden_act: '{}' is not supported; allowed: {}", hidden_act,
                           fmt::join(kActivations, ", ")));
}

void RopeScalingConfig::fields(config::Fields& f) {
  f.choice("rope_type", rope_type, {"default", "linear", "llama3"}, "how frequencies are stretched");
  f.number("factor", factor, "context is stretched by this much", {.above = 0});
  f.number("low_freq_factor", low_freq_factor, "llama3 only", {.above = 0});
  f.number("high_freq_factor", high_freq_factor, "llama3 only", {.above = 0});
  f.integer("original_max_position_embeddings", original_max_position_embeddings, "llama3 only",
            {.min = 1});
}

namespace {

void attention_fields(ModelConfig& c, config::Fields& f) {
  f.integer("num_attention_heads", c.num_attention_heads, "query heads", {.min = 1});
  f.optional_integer("num_key_value_heads", c.num_key_value_heads, "null",
                     "key and value heads; null: as many as query heads", {.min = 1});
  f.optional_integer("head_dim", c.head_dim, "null",
                     "width of one head; null: hidden_size / num_attention_heads", {.min = 2});
  f.boolean("attention_bias", c.attention_bias, "bias on the q, k and v projections");
  f.boolean("attention_output_bias", c.attention_output_bias, "bias on the o projection");
  f.choice("qk_norm", c.qk_norm, {"none", "per_head", "whole"},
           "RMSNorm on queries and keys: per head (Qwen3) or over the whole projection (OLMoE)");
  f.optional_number("clip_qkv", c.clip_qkv, "null", "clamp q, k and v to this magnitude",
                    {.above = 0});
  f.optional_integer("sliding_window", c.sliding_window, "null",
                     "keys a query sees, itself included", {.min = 1});
  f.choices("layer_types", c.layer_types, {"full_attention", "sliding_attention"},
            "one entry a layer; empty: every layer slides if sliding_window is set");
  f.number("rope_theta", c.rope_theta, "base of the rotary frequencies", {.above = 0});
  f.optional_section("rope_scaling", c.rope_scaled, "stretched rotary frequencies",
                     [&](config::Fields& inner) { c.rope_scaling.fields(inner); });
}

void expert_fields(ModelConfig& c, config::Fields& f) {
  f.integer("num_experts", c.num_experts, "experts a sparse layer; 0: a dense model", {.min = 0});
  f.integer("num_experts_per_tok", c.num_experts_per_tok, "experts a token uses", {.min = 1});
  f.optional_integer("moe_intermediate_size", c.moe_intermediate_size, "null",
                     "hidden width of one expert; null: intermediate_size", {.min = 1});
  f.boolean("norm_topk_prob", c.norm_topk_prob, "renormalise the chosen experts' weights");
  f.choice("router", c.router, router_names(), "how experts are chosen; round_robin gives all equal work, for measuring");
  f.integer("shared_expert_intermediate_size", c.shared_expert_intermediate_size,
            "hidden width of the expert every token uses; 0: none", {.min = 0});
  f.boolean("shared_expert_gate", c.shared_expert_gate, "sigmoid gate on the shared expert");
  f.choice("sparse_layers", c.sparse_layers, {"all", "step", "after_dense", "list"},
           "which layers are sparse");
  f.integer("decoder_sparse_step", c.decoder_sparse_step,
            "sparse_layers step: layer i is sparse when (i + 1) is a multiple", {.min = 1});
  f.integer("first_k_dense_replace", c.first_k_dense_replace,
            "sparse_layers after_dense: dense layers before the sparse ones", {.min = 0});
  f.integers("mlp_only_layers", c.mlp_only_layers, "layers that stay dense", {.min = 0});
  f.integers("sparse_layer_list", c.sparse_layer_list, "sparse_layers list: the sparse layers",
             {.min = 0});
  f.optional_number("capacity_factor", c.capacity_factor, "null",
                    "an expert takes at most this times its fair share of a micro-batch; null: dropless",
                    {.above = 0});
  f.optional_number("eval_capacity_factor", c.eval_capacity_factor, "null",
                    "the same in evaluation", {.above = 0});
  f.choice("drop_policy", c.drop_policy, {"position", "weight"},
           "which routes a full expert refuses: later ones, or lighter ones");
  f.choice("balance_loss", c.balance_loss, balance_loss_names(), "what routing counts are balanced over");
  f.choice("balance_pooling", c.balance_pooling, {"layer", "model"},
           "mean of the layers' losses, or one loss over all layers' counts (as transformers)");
  f.number("router_aux_loss_coef", c.router_aux_loss_coef, "weight of the balance loss", {.min = 0});
  f.number("router_z_loss_coef", c.router_z_loss_coef, "weight of the router z-loss", {.min = 0});
}

void reject_contradictions(ModelConfig& c, config::Fields& f) {
  if (c.num_attention_heads % c.key_value_heads() != 0) {
    f.reject("num_key_value_heads", format("must divide num_attention_heads ({}), got {}",
                                           c.num_attention_heads, c.key_value_heads()));
  }
  if (!c.head_dim && c.hidden_size % c.num_attention_heads != 0) {
    f.reject("num_attention_heads", format("must divide hidden_size ({}) unless head_dim is given, got {}",
                                           c.hidden_size, c.num_attention_heads));
  }
  if (c.head_width() % 2 != 0) {
    f.reject("head_dim", format("must be even for rotary embedding, got {}", c.head_width()));
  }
  if (c.num_experts > 0 && c.num_experts_per_tok > c.num_experts) {
    f.reject("num_experts_per_tok",
             format("must be at most num_experts ({}), got {}", c.num_experts, c.num_experts_per_tok));
  }
  if (!c.layer_types.empty() &&
      static_cast<std::int64_t>(c.layer_types.size()) != c.num_hidden_layers) {
    f.reject("layer_types", format("expected {} entries, one a layer, got {}", c.num_hidden_layers,
                                   c.layer_types.size()));
  }
  const bool slides = std::ranges::find(c.layer_types, "sliding_attention") != c.layer_types.end();
  if (slides && !c.sliding_window) {
    f.reject("layer_types", "has sliding_attention, but sliding_window is null");
  }
  if (c.shared_expert_gate && c.shared_expert_intermediate_size == 0) {
    f.reject("shared_expert_gate", "needs shared_expert_intermediate_size > 0");
  }
  for (const std::int64_t layer : c.sparse_layer_list) {
    if (layer >= c.num_hidden_layers) {
      f.reject("sparse_layer_list", format("layer {} is not below num_hidden_layers ({})", layer,
                                           c.num_hidden_layers));
    }
  }
  if (c.num_experts > 0 && c.sparse_layer_count() == 0) {
    f.reject("num_experts", "no layer is sparse by the rules given; set num_experts to 0 for a dense model");
  }
}

}  // namespace

void ModelConfig::fields(config::Fields& f) {
  f.integer("vocab_size", vocab_size, "token ids are below this", {.min = 2});
  f.integer("hidden_size", hidden_size, "width of the residual stream", {.min = 1});
  f.integer("num_hidden_layers", num_hidden_layers, "decoder layers", {.min = 1});
  f.integer("intermediate_size", intermediate_size, "hidden width of dense layers", {.min = 1});
  f.choice("hidden_act", hidden_act, kActivations, "activation of MLPs and experts");
  f.boolean("mlp_gated", mlp_gated, "act(gate) * up rather than act(up)");
  f.integer("max_position_embeddings", max_position_embeddings, "longest sequence", {.min = 1});
  f.number("rms_norm_eps", rms_norm_eps, "inside the root of every norm", {.above = 0});
  f.boolean("tie_word_embeddings", tie_word_embeddings, "the head is the embedding");
  f.optional_integer("pad_token_id", pad_token_id, "null",
                     "embedding row that gets no gradient from look-ups (torch's padding_idx)",
                     {.min = 0});
  f.number("initializer_range", initializer_range, "standard deviation of initial weights", {.min = 0});
  f.boolean("scaled_output_init", scaled_output_init,
            "o and down projections start smaller by sqrt(2 num_hidden_layers)");
  attention_fields(*this, f);
  expert_fields(*this, f);
  reject_contradictions(*this, f);
}

bool ModelConfig::is_sparse(std::int64_t layer) const {
  if (num_experts == 0) return false;
  if (std::ranges::find(mlp_only_layers, layer) != mlp_only_layers.end()) return false;
  if (sparse_layers == "step") return (layer + 1) % decoder_sparse_step == 0;
  if (sparse_layers == "after_dense") return layer >= first_k_dense_replace;
  if (sparse_layers == "list") {
    return std::ranges::find(sparse_layer_list, layer) != sparse_layer_list.end();
  }
  return true;
}

std::int64_t ModelConfig::sparse_layer_count() const {
  std::int64_t count = 0;
  for (std::int64_t layer = 0; layer < num_hidden_layers; ++layer) count += is_sparse(layer) ? 1 : 0;
  return count;
}

std::int64_t ModelConfig::window_of(std::int64_t layer) const {
  if (!sliding_window) return 0;
  if (layer_types.empty()) return *sliding_window;
  const bool slides = layer_types[static_cast<std::size_t>(layer)] == "sliding_attention";
  return slides ? *sliding_window : 0;
}

nn::RopeSpec ModelConfig::rope_spec() const {
  nn::RopeSpec spec{.theta = rope_theta};
  if (!rope_scaled) return spec;
  spec.type = rope_scaling.rope_type;
  spec.factor = rope_scaling.factor;
  spec.low_frequency_factor = rope_scaling.low_freq_factor;
  spec.high_frequency_factor = rope_scaling.high_freq_factor;
  spec.original_max_positions = rope_scaling.original_max_position_embeddings;
  return spec;
}

BalanceSpec ModelConfig::balance_spec() const {
  return {.type = balance_loss,
          .pool_layers = balance_pooling == "model",
          .experts = num_experts,
          .choices = num_experts_per_tok};
}

}  // namespace moe
