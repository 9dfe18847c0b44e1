#include "interop/hf_config_writer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/format.h"
#include "interop/model_facts.h"

namespace moe::interop {
namespace {

using Json = nlohmann::ordered_json;

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

/// Both spellings: readers before transformers 5 know rope_theta and rope_scaling only.
void write_rope(const ModelConfig& c, Json& json) {
  const nn::RopeSpec spec = c.rope_spec();
  Json rope{{"rope_type", spec.type}};
  if (spec.type != "default") rope["factor"] = spec.factor;
  if (spec.type == "llama3") {
    rope["low_freq_factor"] = spec.low_frequency_factor;
    rope["high_freq_factor"] = spec.high_frequency_factor;
    rope["original_max_position_embeddings"] = spec.original_max_positions;
  }
  json["rope_theta"] = c.rope_theta;
  json["rope_scaling"] = spec.type == "default" ? Json(nullptr) : rope;
  if (spec.type == "linear") json["rope_scaling"]["type"] = spec.type;  // before "rope_type" was
  json["rope_parameters"] = rope;
  json["rope_parameters"]["rope_theta"] = c.rope_theta;
}

/// Experts of a model without dense layers stand under intermediate_size in Mixtral and OLMoE.
std::int64_t written_intermediate_size(const ModelConfig& c, Architecture architecture) {
  const bool experts_alone =
      architecture == Architecture::Mixtral || architecture == Architecture::Olmoe;
  return experts_alone ? c.expert_width() : c.intermediate_size;
}

void write_common(const ModelConfig& c, Architecture architecture, Json& json) {
  json["vocab_size"] = c.vocab_size;
  json["hidden_size"] = c.hidden_size;
  json["intermediate_size"] = written_intermediate_size(c, architecture);
  json["num_hidden_layers"] = c.num_hidden_layers;
  json["num_attention_heads"] = c.num_attention_heads;
  json["num_key_value_heads"] = c.key_value_heads();
  json["head_dim"] = c.head_width();
  json["hidden_act"] = c.hidden_act == "swish" ? "silu" : c.hidden_act;
  json["max_position_embeddings"] = c.max_position_embeddings;
  json["initializer_range"] = c.initializer_range;
  json["rms_norm_eps"] = c.rms_norm_eps;
  write_rope(c, json);
  json["tie_word_embeddings"] = c.tie_word_embeddings;
  json["attention_dropout"] = 0.0;
  json["use_cache"] = true;
}

std::vector<std::string> layer_types(const ModelConfig& c) {
  std::vector<std::string> types;
  for (std::int64_t layer = 0; layer < c.num_hidden_layers; ++layer) {
    types.emplace_back(c.window_of(layer) > 0 ? "sliding_attention" : "full_attention");
  }
  return types;
}

/// The first sliding layer: what readers without layer_types go by.
std::int64_t first_window_layer(const ModelConfig& c) {
  std::int64_t layer = 0;
  while (layer < c.num_hidden_layers && c.window_of(layer) == 0) ++layer;
  return layer;
}

void write_qwen_window(const ModelConfig& c, bool by_layer, Json& json) {
  const std::int64_t first = first_window_layer(c);
  const bool slides = first < c.num_hidden_layers;
  json["use_sliding_window"] = slides;
  json["sliding_window"] = slides ? or_null(c.sliding_window) : Json(nullptr);
  json["max_window_layers"] = first;
  if (slides && by_layer) json["layer_types"] = layer_types(c);
}

/// Where every layer slides or none does.
void write_plain_window(const ModelConfig& c, Json& json) {
  const bool slides = first_window_layer(c) < c.num_hidden_layers;
  json["sliding_window"] = slides ? or_null(c.sliding_window) : Json(nullptr);
}

void write_attention(const ModelConfig& c, Architecture architecture, Json& json) {
  switch (architecture) {
    case Architecture::Llama:
      json["attention_bias"] = c.attention_bias;
      json["mlp_bias"] = false;
      return;
    case Architecture::Mistral:
    case Architecture::Mixtral:
      return write_plain_window(c, json);
    case Architecture::Qwen2:
      return write_qwen_window(c, true, json);
    case Architecture::Qwen2Moe:
      json["qkv_bias"] = c.attention_bias;
      return write_qwen_window(c, true, json);
    case Architecture::Qwen3:
      json["attention_bias"] = c.attention_bias;
      return write_qwen_window(c, true, json);
    case Architecture::Qwen3Moe:
      json["attention_bias"] = c.attention_bias;
      return write_qwen_window(c, false, json);
    case Architecture::Olmoe:
      json["attention_bias"] = c.attention_bias;
      json["clip_qkv"] = or_null(c.clip_qkv);
      return;
  }
}

/// Which layers are dense, as a step and exceptions.
void write_sparse_layers(const ModelConfig& c, Json& json) {
  const bool by_step = c.sparse_layers == "step";
  std::vector<std::int64_t> dense = c.mlp_only_layers;
  if (!by_step) {
    dense.clear();
    for (std::int64_t layer = 0; layer < c.num_hidden_layers; ++layer) {
      if (!c.is_sparse(layer)) dense.push_back(layer);
    }
  }
  json["decoder_sparse_step"] = by_step ? c.decoder_sparse_step : 1;
  json["mlp_only_layers"] = dense;
}

void write_experts(const ModelConfig& c, Architecture architecture, Json& json) {
  switch (architecture) {
    case Architecture::Llama:
    case Architecture::Mistral:
    case Architecture::Qwen2:
    case Architecture::Qwen3:
      return;
    case Architecture::Mixtral:
      json["num_local_experts"] = c.num_experts;
      json["router_jitter_noise"] = 0.0;
      break;
    case Architecture::Qwen2Moe:
      json["shared_expert_intermediate_size"] = c.shared_expert_intermediate_size;
      [[fallthrough]];
    case Architecture::Qwen3Moe:
      json["moe_intermediate_size"] = c.expert_width();
      write_sparse_layers(c, json);
      [[fallthrough]];
    case Architecture::Olmoe:
      json["num_experts"] = c.num_experts;
      json["norm_topk_prob"] = c.norm_topk_prob;
      break;
  }
  json["num_experts_per_tok"] = c.num_experts_per_tok;
  // Theirs is k when balanced, ours 1.
  json["router_aux_loss_coef"] =
      c.router_aux_loss_coef / static_cast<double>(c.num_experts_per_tok);
  json["output_router_logits"] = false;
}

void write_extras(const ModelConfig& c, const HuggingFaceExtras& extras, Json& json) {
  json["bos_token_id"] = or_null(extras.bos_token_id);
  json["eos_token_id"] = nullptr;
  if (extras.eos_token_ids.size() == 1) json["eos_token_id"] = extras.eos_token_ids.front();
  if (extras.eos_token_ids.size() > 1) json["eos_token_id"] = extras.eos_token_ids;
  json["pad_token_id"] = or_null(c.pad_token_id);
  if (!extras.dtype.empty()) json["torch_dtype"] = extras.dtype;
}

/// Also what the architecture cannot express, as well as it can.
std::string text_of(const ModelConfig& config, Architecture architecture,
                    const HuggingFaceExtras& extras) {
  Json json;
  json["architectures"] = {to_string(architecture)};
  json["model_type"] = model_type_of(architecture);
  write_common(config, architecture, json);
  write_attention(config, architecture, json);
  write_experts(config, architecture, json);
  write_extras(config, extras, json);
  return json.dump(2) + "\n";
}

bool is_sparse(Architecture architecture) {
  switch (architecture) {
    case Architecture::Llama:
    case Architecture::Mistral:
    case Architecture::Qwen2:
    case Architecture::Qwen3:
      return false;
    case Architecture::Mixtral:
    case Architecture::Qwen2Moe:
    case Architecture::Qwen3Moe:
    case Architecture::Olmoe:
      return true;
  }
  return false;
}

std::string known_architectures() {
  std::vector<std::string_view> names;
  for (const Architecture architecture : kArchitectures) names.push_back(to_string(architecture));
  return format("{}", fmt::join(names, ", "));
}

[[noreturn]] void refuse(Architecture architecture, const std::vector<std::string>& reasons,
                         const std::string& hint) {
  throw CheckpointError(format("{} cannot express this model:\n  {}\nHINT: {}",
                               to_string(architecture), fmt::join(reasons, "\n  "), hint));
}

}  // namespace

std::vector<std::string> obstacles(Architecture architecture, const ModelConfig& config) {
  const bool dense = config.sparse_layer_count() == 0;
  if (dense && is_sparse(architecture)) {
    return {"num_experts: this model is dense, the architecture is not"};
  }
  ModelConfig read_back;
  try {
    read_back = parse_hugging_face_config(text_of(config, architecture, {}), "config.json").model;
  } catch (const CheckpointError& error) {
    return {error.what()};
  }
  std::vector<std::string> reasons;
  for (const FactDifference& difference : compare_facts(config, read_back)) {
    reasons.push_back(format("{}: this model has {}, the architecture would have {}",
                             difference.field, difference.a, difference.b));
  }
  return reasons;
}

Architecture choose_architecture(const ModelConfig& config, std::optional<Architecture> preferred,
                                 std::optional<Architecture> forced) {
  if (forced) {
    const auto reasons = obstacles(*forced, config);
    if (!reasons.empty()) refuse(*forced, reasons, "leave out --architecture to have one chosen");
    return *forced;
  }
  if (preferred && obstacles(*preferred, config).empty()) return *preferred;
  std::vector<std::string> fewest;
  Architecture nearest = Architecture::Llama;
  for (const Architecture architecture : kArchitectures) {
    std::vector<std::string> reasons = obstacles(architecture, config);
    if (reasons.empty()) return architecture;
    if (fewest.empty() || reasons.size() < fewest.size()) {
      fewest = std::move(reasons);
      nearest = architecture;
    }
  }
  refuse(nearest, fewest,
         format("no architecture of {} can; this one is the nearest", known_architectures()));
}

Architecture architecture_from(const std::string& name) {
  for (const Architecture architecture : kArchitectures) {
    if (name == to_string(architecture) || name == model_type_of(architecture)) return architecture;
  }
  throw ConfigError(format("architecture '{}' is not known; allowed: {}", name,
                           known_architectures()));
}

std::string hugging_face_config_text(const ModelConfig& config, Architecture architecture,
                                     const HuggingFaceExtras& extras) {
  const auto reasons = obstacles(architecture, config);
  if (!reasons.empty()) refuse(architecture, reasons, "choose another architecture");
  return text_of(config, architecture, extras);
}

std::vector<std::string> export_notes(const ModelConfig& c, Architecture architecture) {
  std::vector<std::string> notes;
  const auto lost = [&](bool set, const char* field) {
    if (set) notes.push_back(format("{}: config.json has no place for it; training only", field));
  };
  lost(c.capacity_factor.has_value(), "capacity_factor");
  lost(c.router_z_loss_coef != 0, "router_z_loss_coef");
  lost(c.scaled_output_init, "scaled_output_init");
  lost(c.num_experts > 0 && c.balance_pooling != "model", "balance_pooling");
  lost(c.num_experts > 0 && c.balance_loss != "micro_batch", "balance_loss");
  if (architecture == Architecture::Olmoe) {
    if (c.rms_norm_eps != 1e-5) notes.push_back("rms_norm_eps: vLLM takes 1e-5 for OLMoE whatever is written");
    if (c.norm_topk_prob) notes.push_back("norm_topk_prob: vLLM takes false for OLMoE whatever is written");
  }
  return notes;
}

}  // namespace moe::interop
