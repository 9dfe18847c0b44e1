/// Small models that differ in one trait each, and the plain arithmetic of a whole decoder.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/format.h"
#include "model/model.h"
#include "support/context_test.h"
#include "support/naive_moe.h"
#include "support/naive_transformer.h"

namespace moe::testing {

struct NamedConfig {
  std::string name;
  ModelConfig config;
};

inline ModelConfig dense_config() {
  ModelConfig config;
  config.vocab_size = 11;
  config.hidden_size = 8;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 2;
  config.intermediate_size = 10;
  config.max_position_embeddings = 16;
  config.initializer_range = 0.4;
  config.rms_norm_eps = 0.01;
  config.rope_theta = 100.0;
  return config;
}

inline ModelConfig sparse_config() {
  ModelConfig config = dense_config();
  config.num_experts = 4;
  config.num_experts_per_tok = 2;
  config.moe_intermediate_size = 6;
  return config;
}

inline std::vector<NamedConfig> small_configs() {
  std::vector<NamedConfig> all;
  const auto add = [&](const char* name, ModelConfig config, auto&& change) {
    change(config);
    all.push_back({name, std::move(config)});
  };
  add("dense", dense_config(), [](ModelConfig&) {});
  add("tied", dense_config(), [](ModelConfig& c) { c.tie_word_embeddings = true; });
  add("grouped", dense_config(), [](ModelConfig& c) {
    c.num_attention_heads = 4;
    c.num_key_value_heads = 2;
    c.head_dim = 6;
  });
  add("biases", dense_config(), [](ModelConfig& c) {
    c.attention_bias = true;
    c.attention_output_bias = true;
  });
  add("norm per head", dense_config(), [](ModelConfig& c) { c.qk_norm = "per_head"; });
  add("norm over the whole", dense_config(), [](ModelConfig& c) {
    c.qk_norm = "whole";
    c.num_key_value_heads = 1;
    c.clip_qkv = 0.9;
  });
  add("plain mlp", dense_config(), [](ModelConfig& c) {
    c.mlp_gated = false;
    c.hidden_act = "gelu";
  });
  add("windows", dense_config(), [](ModelConfig& c) {
    c.sliding_window = 2;
    c.layer_types = {"sliding_attention", "full_attention"};
  });
  add("sparse", sparse_config(), [](ModelConfig&) {});
  add("one choice", sparse_config(), [](ModelConfig& c) {
    c.num_experts_per_tok = 1;
    c.norm_topk_prob = false;
  });
  add("shared expert", sparse_config(),
      [](ModelConfig& c) { c.shared_expert_intermediate_size = 5; });
  add("gated shared expert", sparse_config(), [](ModelConfig& c) {
    c.shared_expert_intermediate_size = 5;
    c.shared_expert_gate = true;
    c.tie_word_embeddings = true;
  });
  add("every second sparse", sparse_config(), [](ModelConfig& c) {
    c.num_hidden_layers = 3;
    c.sparse_layers = "step";
    c.decoder_sparse_step = 2;
  });
  add("a dense layer first", sparse_config(), [](ModelConfig& c) {
    c.sparse_layers = "after_dense";
    c.first_k_dense_replace = 1;
    c.mlp_gated = true;
    c.qk_norm = "per_head";
  });
  return all;
}

/// A decoder forward pass in loops, from a model's parameters by name. Experts are gated with silu.
class NaiveModel {
 public:
  explicit NaiveModel(Model& model) : config_(model.config()) {
    for (nn::Parameter* p : model.parameters()) values_[p->name()] = p->master().to_vector();
  }

  /// Logits of `tokens`, sequences of `length`. `first[t]`: the first token of t's sequence that it
  /// may see (empty: all).
  naive::Numbers logits(const std::vector<std::int32_t>& tokens, std::int64_t length,
                        const std::vector<std::int32_t>& first = {}) {
    length_ = length;
    first_ = first;
    naive::Numbers x;
    for (const std::int32_t token : tokens) {
      for (std::int64_t d = 0; d < config_.hidden_size; ++d)
        x.push_back(of("embedding.weight")[naive::at(token * config_.hidden_size + d)]);
    }
    for (std::int64_t layer = 0; layer < config_.num_hidden_layers; ++layer) x = block(x, layer);
    x = normed(x, "norm.weight");
    return naive::linear(x, of(config_.tie_word_embeddings ? "embedding.weight" : "head.weight"),
                         config_.hidden_size);
  }

  naive::Numbers block(const naive::Numbers& x, std::int64_t layer) {
    const std::string prefix = format("layers.{}.", layer);
    const naive::Numbers x1 =
        naive::add(x, attention(normed(x, prefix + "attention_norm.weight"), layer));
    const naive::Numbers n = normed(x1, prefix + "feed_forward_norm.weight");
    if (config_.is_sparse(layer)) return naive::add(x1, experts(n, prefix + "moe."));
    return naive::add(
        x1, naive::mlp(n, of(prefix + "mlp.gate_up.weight"), of(prefix + "mlp.down.weight"),
                       config_.hidden_size, config_.mlp_gated, config_.hidden_act));
  }

  void set_sequences(std::int64_t length, std::vector<std::int32_t> first) {
    length_ = length;
    first_ = std::move(first);
  }

 private:
  const naive::Numbers& of(const std::string& name) const { return values_.at(name); }
  naive::Numbers or_none(const std::string& name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? naive::Numbers{} : found->second;
  }
  naive::Numbers normed(const naive::Numbers& x, const std::string& gain) const {
    return naive::rms_norm(x, of(gain), config_.rms_norm_eps);
  }

  naive::Numbers project(const naive::Numbers& x, const std::string& name, bool norm) const {
    naive::Numbers y = naive::linear(x, of(name + "_proj.weight"), config_.hidden_size,
                                     or_none(name + "_proj.bias"));
    if (norm && config_.qk_norm != "none") y = normed(y, name + "_norm.weight");
    for (double& value : y) {
      if (config_.clip_qkv) value = std::clamp(value, -*config_.clip_qkv, *config_.clip_qkv);
    }
    return y;
  }

  naive::Numbers attention(const naive::Numbers& x, std::int64_t layer) const {
    const std::string prefix = format("layers.{}.attention.", layer);
    const std::int64_t heads = config_.num_attention_heads;
    const std::int64_t groups = config_.num_key_value_heads.value_or(heads);
    const std::int64_t width = config_.head_dim.value_or(config_.hidden_size / heads);
    const auto angle = [&](std::int64_t t, std::int64_t j) {
      return static_cast<double>(t % length_) *
             std::pow(config_.rope_theta,
                      -2.0 * static_cast<double>(j) / static_cast<double>(width));
    };
    const bool slides = !config_.layer_types.empty() &&
                        config_.layer_types[naive::at(layer)] == "sliding_attention";
    const auto sees = [&](std::int64_t query, std::int64_t key) {
      if (query / length_ != key / length_ || key > query) return false;
      if (slides && query - key >= *config_.sliding_window) return false;
      return first_.empty() || key % length_ >= first_[naive::at(query)];
    };
    const naive::Numbers mixed =
        naive::attention(naive::rope(project(x, prefix + "q", true), heads, width, angle),
                         naive::rope(project(x, prefix + "k", true), groups, width, angle),
                         project(x, prefix + "v", false), heads, groups, width, sees);
    return naive::linear(mixed, of(prefix + "o_proj.weight"), heads * width,
                         or_none(prefix + "o_proj.bias"));
  }

  naive::Numbers experts(const naive::Numbers& x, const std::string& prefix) const {
    const std::int64_t width = config_.hidden_size;
    NaiveMoe plain{.tokens = static_cast<std::int64_t>(x.size()) / width,
                   .width = width,
                   .experts = config_.num_experts,
                   .choices = config_.num_experts_per_tok,
                   .hidden = *config_.moe_intermediate_size,
                   .renormalize = config_.norm_topk_prob};
    plain.x = x;
    plain.dy = naive::Numbers(x.size(), 0.0);
    plain.router = of(prefix + "router.weight");
    plain.gate_up = of(prefix + "experts.gate_up.weight");
    plain.down = of(prefix + "experts.down.weight");
    plain.run();
    if (config_.shared_expert_intermediate_size == 0) return plain.y;
    naive::Numbers shared = naive::mlp(x, of(prefix + "shared.gate_up.weight"),
                                       of(prefix + "shared.down.weight"), width, true);
    if (config_.shared_expert_gate) {
      const naive::Numbers gate = naive::linear(x, of(prefix + "shared_gate.weight"), width);
      for (std::size_t i = 0; i < shared.size(); ++i)
        shared[i] *= naive::sigmoid(gate[i / naive::at(width)]);
    }
    return naive::add(plain.y, shared);
  }

  ModelConfig config_;
  std::map<std::string, naive::Numbers> values_;
  std::int64_t length_ = 1;
  std::vector<std::int32_t> first_;
};

/// Norms and biases too get values that show.
inline void randomize(Model& model, DType dtype = DType::F64, std::uint64_t seed = 1) {
  model.materialize(dtype, seed);
  model.for_each_parameter([&](nn::Parameter& p) {
    if (p.kind() == ParameterKind::Norm || p.kind() == ParameterKind::Bias) {
      p.master().copy_from(random_tensor(p.name(), p.spec().shape, dtype));
    }
  });
}

/// Terms that meet in one number through the depth of such a model.
inline std::int64_t reduction_of(const ModelConfig& config) {
  return config.hidden_size * config.intermediate_size * config.num_hidden_layers;
}

}  // namespace moe::testing
