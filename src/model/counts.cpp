#include "model/counts.h"

#include <algorithm>

#include "model/model.h"

namespace moe {

ParameterCount count_parameters(const ModelConfig& config) {
  ParameterCount count;
  Model model(config);  // shapes only
  model.for_each_parameter([&](nn::Parameter& parameter) {
    const std::int64_t elements = parameter.spec().shape.numel();
    count.total += elements;
    count.active += parameter.kind() == ParameterKind::Expert
                        ? elements / config.num_experts * config.num_experts_per_tok
                        : elements;
    if (parameter.kind() == ParameterKind::Embedding) count.embedding += elements;
  });
  return count;
}

namespace {

/// Keys a token sees on average in a sequence of this length.
double average_keys(std::int64_t length, std::int64_t window) {
  const auto s = static_cast<double>(length);
  if (window == 0 || window >= length) return (s + 1.0) / 2.0;
  const auto w = static_cast<double>(window);
  return (w * (w + 1.0) / 2.0 + (s - w) * w) / s;
}

}  // namespace

double training_flops_per_token(const ModelConfig& config, std::int64_t sequence_length) {
  const ParameterCount count = count_parameters(config);
  // A tied head multiplies by the embedding; otherwise the embedding is only looked up.
  const std::int64_t multiplied =
      count.active - (config.tie_word_embeddings ? 0 : count.embedding);
  double forward = 2.0 * static_cast<double>(multiplied);
  const auto head_elements =
      static_cast<double>(config.num_attention_heads * config.head_width());
  for (std::int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    forward += 4.0 * head_elements * average_keys(sequence_length, config.window_of(layer));
  }
  return 3.0 * forward;
}

}  // namespace moe
