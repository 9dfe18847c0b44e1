/// The feed-forward matrices of one layer, from which experts are made.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "growth/computed_source.h"

namespace moe::growth {

/// A dense layer's matrices in a source. @shape gate_up [2, F, D] ([1, F, D] plain), down [D, F]
struct DenseLayer {
  std::shared_ptr<const checkpoint::TensorSource> source;
  std::int64_t layer = 0;
  std::string gate_up;
  std::string down;
  std::int64_t halves = 2;  ///< 1 without a gate
  std::int64_t hidden = 0;  ///< F
  std::int64_t width = 0;   ///< D

  /// The half of gate_up that holds `up`; the other is the gate.
  bool is_up(std::int64_t half) const { return half == halves - 1; }
};

DenseLayer dense_layer(std::shared_ptr<const checkpoint::TensorSource> source,
                       const ModelConfig& config, std::int64_t layer);

/// How the two stacked matrices of a layer's experts are filled.
/// @shape gate_up [E, 2, F', D] ([E, 1, F', D] plain), down [E, D, F']
struct ExpertFill {
  ComputedSource::Fill gate_up;
  ComputedSource::Fill down;
};

}  // namespace moe::growth
