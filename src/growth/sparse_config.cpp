#include "growth/sparse_config.h"

#include <algorithm>

#include "base/format.h"
#include "growth/refuse.h"

namespace moe::growth {
namespace {

using interop::Architecture;

void require_dense(const ModelConfig& dense) {
  if (dense.num_experts == 0) return;
  refuse_option("sparsify", format("the source has {} experts already", dense.num_experts),
                "expand, merge, prune or densify");
}

void require_choices(const SparsifyConfig& o) {
  if (o.num_experts_per_tok > o.num_experts) {
    refuse_option("sparsify.num_experts_per_tok",
                  format("must be at most num_experts ({}), got {}", o.num_experts,
                         o.num_experts_per_tok),
                  format("1 to {}", o.num_experts));
  }
  if (o.norm_topk_prob && o.num_experts_per_tok == 1) {
    refuse_option("sparsify.num_experts_per_tok",
                  "1 with norm_topk_prob gives every chosen expert the weight 1, whatever the "
                  "router says: it would get no gradient, got 1",
                  o.num_experts >= 2 ? format("2 to {}, or norm_topk_prob: false", o.num_experts)
                                     : "norm_topk_prob: false, or more experts");
  }
}

/// @returns the shards of a replica
std::int64_t granularity_of(const SparsifyConfig& o, const ModelConfig& dense) {
  const std::string option = "sparsify.granularity";
  const std::string divisors =
      common_divisors({o.num_experts, o.num_experts_per_tok, dense.intermediate_size});
  if (o.method != "granular") {
    if (o.granularity.value_or(1) != 1) {
      refuse_option(option, format("only method granular cuts experts, got {} with method {}",
                                   *o.granularity, o.method),
                    "leave it out, or method: granular");
    }
    return 1;
  }
  if (!o.granularity) refuse_option(option, "method granular needs it, got nothing", divisors);
  const std::pair<const char*, std::int64_t> wholes[] = {
      {"num_experts_per_tok", o.num_experts_per_tok},
      {"num_experts", o.num_experts},
      {"the source's intermediate_size", dense.intermediate_size}};
  for (const auto& [name, whole] : wholes) {
    if (*o.granularity >= 1 && whole % *o.granularity == 0) continue;
    refuse_option(option, format("must divide {} ({}), got {}", name, whole, *o.granularity),
                  divisors);
  }
  return *o.granularity;
}

std::int64_t shared_experts(const SparsifyConfig& o, std::optional<Architecture> architecture) {
  if (o.shared_experts) return *o.shared_experts;
  return architecture == Architecture::Qwen2Moe ? 1 : 0;
}

void set_layers(const SparsifyConfig& o, ModelConfig& c) {
  c.sparse_layers = o.layers;
  c.decoder_sparse_step = o.decoder_sparse_step;
  c.first_k_dense_replace = o.first_k_dense_replace;
  c.sparse_layer_list = o.sparse_layer_list;
  c.mlp_only_layers = o.mlp_only_layers;
  const std::string layers = format("layers 0 to {}", c.num_hidden_layers - 1);
  const auto require_known = [&](const char* option, const std::vector<std::int64_t>& list) {
    for (const std::int64_t layer : list) {
      if (layer >= 0 && layer < c.num_hidden_layers) continue;
      refuse_option(option, format("there is no layer {}", layer), layers);
    }
  };
  require_known("sparsify.sparse_layer_list", o.sparse_layer_list);
  require_known("sparsify.mlp_only_layers", o.mlp_only_layers);
  if (c.sparse_layer_count() > 0) return;
  refuse_option("sparsify.layers",
                format("no layer would become sparse, got {}{}", o.layers,
                       o.layers == "step" ? format(" {}", o.decoder_sparse_step) : ""),
                layers);
}

/// Qwen's configs say it by a step and exceptions.
void spell_layers_as_qwen(ModelConfig& c) {
  std::vector<std::int64_t> dense;
  for (std::int64_t layer = 0; layer < c.num_hidden_layers; ++layer) {
    if (!c.is_sparse(layer)) dense.push_back(layer);
  }
  c.sparse_layers = "step";
  c.decoder_sparse_step = 1;
  c.first_k_dense_replace = 0;
  c.sparse_layer_list.clear();
  c.mlp_only_layers = dense;
}

}  // namespace

std::optional<Architecture> sparse_architecture(const ModelConfig& dense) {
  if (!dense.mlp_gated) return {};
  const bool whole_bias = dense.attention_bias == dense.attention_output_bias;
  if (dense.qk_norm == "whole" && whole_bias) return Architecture::Olmoe;
  if (dense.clip_qkv) return {};
  if (dense.qk_norm == "per_head" && whole_bias) return Architecture::Qwen3Moe;
  if (dense.qk_norm != "none" || dense.attention_output_bias) return {};
  return dense.attention_bias ? Architecture::Qwen2Moe : Architecture::Mixtral;
}

ModelConfig sparse_config(const SparsifyConfig& options, const ModelConfig& dense) {
  require_dense(dense);
  require_choices(options);
  const std::int64_t granularity = granularity_of(options, dense);
  const auto architecture = sparse_architecture(dense);
  ModelConfig config = dense;
  config.num_experts = options.num_experts;
  config.num_experts_per_tok = options.num_experts_per_tok;
  config.norm_topk_prob = options.norm_topk_prob;
  config.router = "softmax_topk";
  set_layers(options, config);
  config.moe_intermediate_size.reset();
  const bool qwen =
      architecture == Architecture::Qwen2Moe || architecture == Architecture::Qwen3Moe;
  if (qwen) spell_layers_as_qwen(config);
  if (qwen || granularity > 1) {
    config.moe_intermediate_size = dense.intermediate_size / granularity;
  }
  const std::int64_t shared = shared_experts(options, architecture);
  config.shared_expert_intermediate_size = shared * dense.intermediate_size;
  config.shared_expert_gate = shared > 0 && architecture == Architecture::Qwen2Moe;
  return config;
}

}  // namespace moe::growth
