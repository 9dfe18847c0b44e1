/// For each layer of a deeper model, the layer of the source it is made from.
#pragma once

#include <cstdint>
#include <vector>

#include "config/registry.h"

namespace moe::growth {

struct DepthMap {
  std::vector<std::int64_t> from;  ///< by result layer
  /// By result layer: what it writes to the residual stream is zero, so that it passes through.
  std::vector<bool> silent;
};

/// from[l] = l mod L1. @paper StackBERT; AquilaMoE arXiv:2408.06567 (its baseline)
DepthMap stack(std::int64_t source_layers, std::int64_t result_layers);

/// from[l] = floor(l * L1 / L2): monotone, onto, first 0, last L1 - 1. The paper prints L2 / L1, which would leave the
/// range. The depth half of AKI-Pro. @paper AquilaMoE arXiv:2408.06567
DepthMap interpolate(std::int64_t source_layers, std::int64_t result_layers);

/// All source layers in order; after layer l stand floor((l+1) P / L1) - floor(l P / L1) of the P = L2 - L1 new ones, each a
/// copy of l whose o and down projections (and their biases) are zero: logits stay bit for bit.
/// @paper LLaMA-Pro arXiv:2401.02415, where L1 must be a multiple of P
DepthMap identity(std::int64_t source_layers, std::int64_t result_layers);

using DepthMethod = DepthMap (*)(std::int64_t, std::int64_t);
const config::Registry<DepthMethod>& depth_methods();

}  // namespace moe::growth
