#include "growth/sparse_pattern.h"

#include <algorithm>

namespace moe::growth {
namespace {

bool follows(const ModelConfig& config, const std::vector<bool>& sparse) {
  for (std::size_t layer = 0; layer < sparse.size(); ++layer) {
    if (config.is_sparse(static_cast<std::int64_t>(layer)) != sparse[layer]) return false;
  }
  return std::ranges::all_of(config.mlp_only_layers, [&](std::int64_t layer) {
    return layer < static_cast<std::int64_t>(sparse.size());
  });
}

}  // namespace

void set_sparse_layers(ModelConfig& config, const std::vector<bool>& sparse) {
  if (config.num_experts == 0 || follows(config, sparse)) return;
  if (config.sparse_layers == "after_dense") {
    const auto first = std::ranges::find(sparse, true) - sparse.begin();
    ModelConfig shifted = config;
    shifted.first_k_dense_replace = first;
    shifted.mlp_only_layers.clear();
    if (follows(shifted, sparse)) {
      config = shifted;
      return;
    }
  }
  config.sparse_layers = "all";
  config.decoder_sparse_step = 1;
  config.first_k_dense_replace = 0;
  config.sparse_layer_list.clear();
  config.mlp_only_layers.clear();
  for (std::size_t layer = 0; layer < sparse.size(); ++layer) {
    if (!sparse[layer]) config.mlp_only_layers.push_back(static_cast<std::int64_t>(layer));
  }
}

}  // namespace moe::growth
