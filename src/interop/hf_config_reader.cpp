#include "interop/hf_config_reader.h"

#include <algorithm>

#include "base/format.h"

namespace moe::interop {
namespace {

constexpr std::int64_t kMostLayers = 4096;

std::int64_t required(const JsonObject& json, const char* key) {
  const auto value = json.integer(key);
  if (!value) json.refuse(key, "an integer");
  return *value;
}

/// Two spellings of one key; both may stand there if they agree.
std::int64_t required_either(const JsonObject& json, const char* key, const char* other) {
  const auto value = json.integer(key);
  const auto second = json.integer(other);
  if (value && second && *value != *second) {
    json.refuse(other, format("{}, as {} says", *value, key));
  }
  if (!value && !second) json.refuse(key, format("an integer (or under {})", other));
  return value ? *value : *second;
}

void read_sizes(const JsonObject& json, const Traits& traits, ModelConfig& c) {
  c.vocab_size = required(json, "vocab_size");
  c.hidden_size = required(json, "hidden_size");
  c.num_hidden_layers = required(json, "num_hidden_layers");
  c.num_attention_heads = required(json, "num_attention_heads");
  c.intermediate_size = required(json, "intermediate_size");
  c.max_position_embeddings =
      json.integer("max_position_embeddings").value_or(traits.max_positions);
  if (c.num_hidden_layers > kMostLayers) {
    json.refuse("num_hidden_layers", format("at most {}", kMostLayers));
  }
  if (c.num_attention_heads < 1) json.refuse("num_attention_heads", "at least 1");
}

/// null means as many as query heads; an absent key means the class's default.
std::int64_t key_value_heads(const JsonObject& json, const Traits& traits, const ModelConfig& c) {
  const auto heads = json.integer("num_key_value_heads");
  if (heads) {
    if (*heads < 1) json.refuse("num_key_value_heads", "at least 1");
    return *heads;
  }
  const bool as_queries = json.mentions("num_key_value_heads") || traits.key_value_heads == 0;
  return as_queries ? c.num_attention_heads : traits.key_value_heads;
}

/// Negative ids count from the end of the table, as in torch.
std::optional<std::int64_t> padding_id(const JsonObject& json, const Traits& traits,
                                       const ModelConfig& c) {
  const auto given = json.integer("pad_token_id");
  if (!given) return json.mentions("pad_token_id") ? std::nullopt : traits.pad_token_id;
  if (*given < -c.vocab_size || *given >= c.vocab_size) {
    json.refuse("pad_token_id", format("a token id below vocab_size ({})", c.vocab_size));
  }
  return *given < 0 ? *given + c.vocab_size : *given;
}

void read_general(const JsonObject& json, const Traits& traits, ModelConfig& c) {
  c.hidden_act = json.text("hidden_act").value_or("silu");
  c.rms_norm_eps = json.number("rms_norm_eps").value_or(traits.norm_epsilon);
  c.initializer_range = json.number("initializer_range").value_or(0.02);
  c.tie_word_embeddings = json.boolean("tie_word_embeddings").value_or(false);
  c.pad_token_id = padding_id(json, traits, c);
  if (json.boolean("mlp_bias").value_or(false)) json.refuse("mlp_bias", "false");
}

void read_attention(const JsonObject& json, const Traits& traits, ModelConfig& c) {
  c.num_key_value_heads = key_value_heads(json, traits, c);
  c.head_dim = json.integer("head_dim");
  if (!c.head_dim && traits.head_dim != 0) c.head_dim = traits.head_dim;
  switch (traits.architecture) {
    case Architecture::Mistral:
    case Architecture::Mixtral: break;
    case Architecture::Qwen2: c.attention_bias = true; break;
    case Architecture::Qwen2Moe:
      c.attention_bias = json.boolean("qkv_bias").value_or(true);
      break;
    case Architecture::Qwen3:
    case Architecture::Qwen3Moe: c.qk_norm = "per_head"; [[fallthrough]];
    case Architecture::Llama:
      c.attention_bias = json.boolean("attention_bias").value_or(false);
      c.attention_output_bias = c.attention_bias;
      break;
    case Architecture::Olmoe:
      c.qk_norm = "whole";
      c.clip_qkv = json.number("clip_qkv");
      c.attention_bias = json.boolean("attention_bias").value_or(false);
      c.attention_output_bias = c.attention_bias;
      break;
  }
}

/// 0 and null mean none.
std::optional<std::int64_t> window_in(const JsonObject& json, const Traits& traits) {
  const bool silent = !json.mentions("sliding_window");
  const std::int64_t window =
      silent ? traits.sliding_window : json.integer("sliding_window").value_or(0);
  if (window < 0) json.refuse("sliding_window", "null, 0 or a number of keys");
  return window == 0 ? std::nullopt : std::optional(window);
}

/// Which layers slide where layer_types does not say.
bool slides(const Traits& traits, std::int64_t layer, std::int64_t max_window_layers) {
  if (traits.architecture == Architecture::Qwen2Moe) {
    return layer % 2 == 0 && layer < max_window_layers;
  }
  return layer >= max_window_layers;
}

void read_layer_types(const JsonObject& json, const Traits& traits, bool used, ModelConfig& c) {
  const std::int64_t from = json.integer("max_window_layers").value_or(28);
  if (const auto given = json.texts("layer_types")) {
    c.layer_types = *given;
  } else if (used && (c.sliding_window || traits.architecture == Architecture::Qwen2Moe)) {
    for (std::int64_t layer = 0; layer < c.num_hidden_layers; ++layer) {
      c.layer_types.push_back(slides(traits, layer, from) ? "sliding_attention" : "full_attention");
    }
  }
  const auto full = [](const std::string& type) { return type == "full_attention"; };
  const bool right_count = static_cast<std::int64_t>(c.layer_types.size()) == c.num_hidden_layers;
  if (c.layer_types.empty() || (right_count && std::ranges::all_of(c.layer_types, full))) {
    c.layer_types.clear();
    c.sliding_window.reset();
  }
}

void read_window(const JsonObject& json, const Traits& traits, ModelConfig& c) {
  const bool used = json.boolean("use_sliding_window").value_or(false);
  switch (traits.architecture) {
    case Architecture::Llama:
    case Architecture::Olmoe: return;
    case Architecture::Mistral:
    case Architecture::Mixtral: c.sliding_window = window_in(json, traits); return;
    case Architecture::Qwen3Moe:
      if (used) c.sliding_window = window_in(json, traits);
      return;
    case Architecture::Qwen2:
    case Architecture::Qwen3:
    case Architecture::Qwen2Moe:
      if (used) c.sliding_window = window_in(json, traits);
      return read_layer_types(json, traits, used, c);
  }
}

void read_qwen_experts(const JsonObject& json, const Traits& traits, ModelConfig& c) {
  c.moe_intermediate_size = required(json, "moe_intermediate_size");
  c.sparse_layers = "step";
  c.decoder_sparse_step = json.integer("decoder_sparse_step").value_or(1);
  c.mlp_only_layers = json.integers("mlp_only_layers").value_or(std::vector<std::int64_t>{});
  if (static_cast<std::int64_t>(c.mlp_only_layers.size()) > kMostLayers) {
    json.refuse("mlp_only_layers", format("at most {} layers", kMostLayers));
  }
  if (c.decoder_sparse_step < 1) json.refuse("decoder_sparse_step", "at least 1");
  if (traits.architecture != Architecture::Qwen2Moe) return;
  c.shared_expert_intermediate_size = required(json, "shared_expert_intermediate_size");
  c.shared_expert_gate = true;
  if (c.shared_expert_intermediate_size < 1) {
    json.refuse("shared_expert_intermediate_size", "at least 1");
  }
}

void read_experts(const JsonObject& json, const Traits& traits, ModelConfig& c) {
  if (!traits.sparse) return;
  c.num_experts = required_either(json, "num_experts", "num_local_experts");
  c.num_experts_per_tok = required(json, "num_experts_per_tok");
  c.norm_topk_prob = traits.architecture == Architecture::Mixtral ||
                     json.boolean("norm_topk_prob").value_or(false);
  if (traits.architecture == Architecture::Qwen2Moe ||
      traits.architecture == Architecture::Qwen3Moe) {
    read_qwen_experts(json, traits, c);
  } else if (c.num_experts < 1) {
    json.refuse("num_experts", "at least 1");
  }
  c.balance_loss = "micro_batch";
  c.balance_pooling = "model";
  // Theirs is k when balanced, ours is 1.
  c.router_aux_loss_coef =
      json.number("router_aux_loss_coef").value_or(traits.balance_coefficient) *
      static_cast<double>(c.num_experts_per_tok);
}

/// Without a sparse layer the model is dense, and experts it never has are nobody's business.
void forget_unused_experts(ModelConfig& c) {
  if (c.num_experts < 0 || c.sparse_layer_count() > 0) return;
  c.num_experts = 0;
  c.shared_expert_intermediate_size = 0;
  c.shared_expert_gate = false;
}

}  // namespace

ModelConfig read_model(const JsonObject& json, const Traits& traits) {
  ModelConfig config;
  read_sizes(json, traits, config);
  read_general(json, traits, config);
  read_attention(json, traits, config);
  read_rope(json, traits, config);
  read_window(json, traits, config);
  read_experts(json, traits, config);
  forget_unused_experts(config);
  return config;
}

}  // namespace moe::interop
