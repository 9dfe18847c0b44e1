#include "interop/model_facts.h"

#include <algorithm>

#include "base/format.h"

namespace moe::interop {
namespace {

class FactList {
 public:
  void add(const char* field, std::string value) { facts.push_back({field, std::move(value)}); }
  void add(const char* field, const char* value) { add(field, std::string(value)); }
  void add(const char* field, std::int64_t value) { add(field, std::to_string(value)); }
  void add(const char* field, double value) { add(field, exact_number(value)); }
  void add(const char* field, bool value) { add(field, value ? "true" : "false"); }
  template <class T>
  void add(const char* field, const std::optional<T>& value) {
    if (value) {
      add(field, *value);
    } else {
      add(field, "null");
    }
  }

  std::vector<Fact> facts;
};

std::string rope_text(const nn::RopeSpec& spec) {
  if (spec.type == "default") return "null";
  std::string text = format("{} by {}", spec.type, exact_number(spec.factor));
  if (spec.type == "linear") return text;
  return text + format(", low {}, high {}, from {} positions",
                       exact_number(spec.low_frequency_factor),
                       exact_number(spec.high_frequency_factor), spec.original_max_positions);
}

/// "none", "all: 64", or the layers that slide.
std::string window_text(const ModelConfig& c) {
  std::vector<std::int64_t> layers;
  std::int64_t window = 0;
  for (std::int64_t layer = 0; layer < c.num_hidden_layers; ++layer) {
    if (c.window_of(layer) == 0) continue;
    window = c.window_of(layer);
    layers.push_back(layer);
  }
  if (layers.empty()) return "null";
  if (static_cast<std::int64_t>(layers.size()) == c.num_hidden_layers) return format("{}", window);
  return format("{} in layers {}", window, fmt::join(layers, ", "));
}

std::string sparse_text(const ModelConfig& c) {
  std::vector<std::int64_t> dense;
  for (std::int64_t layer = 0; layer < c.num_hidden_layers; ++layer) {
    if (!c.is_sparse(layer)) dense.push_back(layer);
  }
  return dense.empty() ? "all" : format("all but {}", fmt::join(dense, ", "));
}

void add_attention(const ModelConfig& c, FactList& list) {
  list.add("num_attention_heads", c.num_attention_heads);
  list.add("num_key_value_heads", c.key_value_heads());
  list.add("head_dim", c.head_width());
  list.add("attention_bias", c.attention_bias);
  list.add("attention_output_bias", c.attention_output_bias);
  list.add("qk_norm", c.qk_norm);
  list.add("clip_qkv", c.clip_qkv);
  list.add("sliding_window", window_text(c));
  list.add("rope_theta", c.rope_theta);
  list.add("rope_scaling", rope_text(c.rope_spec()));
}

void add_experts(const ModelConfig& c, FactList& list) {
  const std::int64_t sparse = c.sparse_layer_count();
  list.add("num_experts", sparse == 0 ? 0 : c.num_experts);
  if (sparse < c.num_hidden_layers) list.add("intermediate_size", c.intermediate_size);
  if (sparse == 0) return;
  list.add("num_experts_per_tok", c.num_experts_per_tok);
  list.add("moe_intermediate_size", c.expert_width());
  list.add("norm_topk_prob", c.norm_topk_prob);
  list.add("router", c.router);
  list.add("shared_expert_intermediate_size", c.shared_expert_intermediate_size);
  list.add("shared_expert_gate", c.shared_expert_gate);
  list.add("sparse_layers", sparse_text(c));
  list.add("eval_capacity_factor", c.eval_capacity_factor);
}

}  // namespace

std::vector<Fact> facts_of(const ModelConfig& c) {
  FactList list;
  list.add("vocab_size", c.vocab_size);
  list.add("hidden_size", c.hidden_size);
  list.add("num_hidden_layers", c.num_hidden_layers);
  list.add("hidden_act", c.hidden_act == "swish" ? "silu" : c.hidden_act);
  list.add("mlp_gated", c.mlp_gated);
  list.add("max_position_embeddings", c.max_position_embeddings);
  list.add("rms_norm_eps", c.rms_norm_eps);
  list.add("tie_word_embeddings", c.tie_word_embeddings);
  list.add("pad_token_id", c.pad_token_id);
  add_attention(c, list);
  add_experts(c, list);
  return std::move(list.facts);
}

std::vector<FactDifference> compare_facts(const ModelConfig& a, const ModelConfig& b) {
  const std::vector<Fact> left = facts_of(a);
  const std::vector<Fact> right = facts_of(b);
  std::vector<FactDifference> differences;
  for (const Fact& fact : left) {
    const auto other = std::ranges::find(right, fact.field, &Fact::field);
    const std::string value = other == right.end() ? "nothing" : other->value;
    if (value != fact.value) differences.push_back({fact.field, fact.value, value});
  }
  for (const Fact& fact : right) {
    if (std::ranges::find(left, fact.field, &Fact::field) == left.end()) {
      differences.push_back({fact.field, "nothing", fact.value});
    }
  }
  return differences;
}

}  // namespace moe::interop
