#include "model/block.h"

#include <cmath>
#include <vector>

#include "autograd/tape.h"
#include "base/format.h"
#include "ops/arithmetic.h"

namespace moe {
namespace {

std::string prefix(std::int64_t layer) { return format("layers.{}", layer); }

double output_deviation(const ModelConfig& config) {
  if (!config.scaled_output_init) return config.initializer_range;
  return config.initializer_range / std::sqrt(2.0 * static_cast<double>(config.num_hidden_layers));
}

nn::QkNorm qk_norm_of(const std::string& name) {
  if (name == "per_head") return nn::QkNorm::PerHead;
  return name == "whole" ? nn::QkNorm::Whole : nn::QkNorm::None;
}

nn::AttentionSpec attention_spec(const ModelConfig& config, std::int64_t layer) {
  return {.name = prefix(layer) + ".attention",
          .layer = layer,
          .width = config.hidden_size,
          .heads = config.num_attention_heads,
          .key_value_heads = config.key_value_heads(),
          .head_width = config.head_width(),
          .input_bias = config.attention_bias,
          .output_bias = config.attention_output_bias,
          .qk_norm = qk_norm_of(config.qk_norm),
          .norm_epsilon = config.rms_norm_eps,
          .clip = config.clip_qkv,
          .window = config.window_of(layer),
          .deviation = config.initializer_range,
          .output_deviation = output_deviation(config)};
}

std::unique_ptr<nn::Mlp> make_dense(const ModelConfig& config, std::int64_t layer) {
  if (config.is_sparse(layer)) return nullptr;
  return std::make_unique<nn::Mlp>(nn::MlpSpec{.name = prefix(layer) + ".mlp",
                                               .width = config.hidden_size,
                                               .hidden = config.intermediate_size,
                                               .activation = activation_of(config.hidden_act),
                                               .gated = config.mlp_gated,
                                               .deviation = config.initializer_range,
                                               .output_deviation = output_deviation(config)});
}

std::unique_ptr<MoeLayer> make_sparse(const ModelConfig& config, std::int64_t layer) {
  if (!config.is_sparse(layer)) return nullptr;
  const std::string name = prefix(layer) + ".moe";
  return std::make_unique<MoeLayer>(
      MoeLayerSpec{.name = name,
                   .layer = layer,
                   .router = {.type = config.router,
                              .name = name + ".router",
                              .width = config.hidden_size,
                              .experts = config.num_experts,
                              .choices = config.num_experts_per_tok,
                              .renormalize = config.norm_topk_prob,
                              .deviation = config.initializer_range},
                   .experts = {.name = name + ".experts",
                               .experts = config.num_experts,
                               .width = config.hidden_size,
                               .hidden = config.expert_width(),
                               .activation = activation_of(config.hidden_act),
                               .gated = config.mlp_gated,
                               .deviation = config.initializer_range,
                               .output_deviation = output_deviation(config)},
                   .capacity_factor = config.capacity_factor,
                   .eval_capacity_factor = config.eval_capacity_factor,
                   .drop_by_weight = config.drop_policy == "weight",
                   .shared_hidden = config.shared_expert_intermediate_size,
                   .shared_gated = config.shared_expert_gate});
}

}  // namespace

Block::Block(const ModelConfig& config, std::int64_t layer)
    : attention_norm_(prefix(layer) + ".attention_norm", config.hidden_size, config.rms_norm_eps),
      attention_(attention_spec(config, layer)),
      feed_forward_norm_(prefix(layer) + ".feed_forward_norm", config.hidden_size,
                         config.rms_norm_eps),
      dense_(make_dense(config, layer)),
      sparse_(make_sparse(config, layer)) {
  adopt(attention_norm_);
  adopt(attention_);
  adopt(feed_forward_norm_);
  if (dense_) adopt(*dense_);
  if (sparse_) adopt(*sparse_);
}

Block::Output Block::run(const Variable& x_TD, const ops::RopeTable& rope,
                         const nn::ForwardContext& context) {
  const Variable mixed_TD = attention_.forward(attention_norm_.forward(x_TD), rope, context);
  const auto [x1_TD, normed_TD] = feed_forward_norm_.forward_residual(x_TD, mixed_TD);
  if (dense_) return {ops::add(x1_TD, dense_->forward(normed_TD)), std::nullopt};
  MoeLayer::Output sparse = sparse_->forward(normed_TD, context);
  return {ops::add(x1_TD, sparse.y_TD), std::move(sparse.term)};
}

Block::Output Block::forward(const Variable& x_TD, const ops::RopeTable& rope,
                             const nn::ForwardContext& context, bool recomputed) {
  if (!recomputed) return run(x_TD, rope, context);
  const Segment segment = [this, rope, context](std::span<const Variable> inputs) {
    Output output = run(inputs[0], rope, context);
    std::vector<Variable> results{output.x_TD};
    if (output.term) {
      results.push_back(output.term->probability_TE);
      results.push_back(output.term->logsumexp_T);
      results.emplace_back(output.term->chosen_TK);
      results.emplace_back(output.term->kept_TK);
    }
    return results;
  };
  const std::vector<Variable> results = moe::recompute(segment, {&x_TD, 1});
  Output output{results[0], std::nullopt};
  if (sparse_) {
    output.term = BalanceTerm{sparse_->spec().layer, results[1], results[2], results[3].value(),
                              results[4].value()};
  }
  return output;
}

}  // namespace moe
