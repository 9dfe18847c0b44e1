#include "growth/expert_source.h"

namespace moe::growth {

DenseLayer dense_layer(std::shared_ptr<const checkpoint::TensorSource> source,
                       const ModelConfig& config, std::int64_t layer) {
  return {.source = std::move(source),
          .layer = layer,
          .gate_up = dense_name(layer, "gate_up"),
          .down = dense_name(layer, "down"),
          .halves = config.mlp_gated ? 2 : 1,
          .hidden = config.intermediate_size,
          .width = config.hidden_size};
}

}  // namespace moe::growth
