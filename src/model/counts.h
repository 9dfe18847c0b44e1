/// Parameters and arithmetic of a model, from its config alone.
#pragma once

#include <cstdint>

#include "model/model_config.h"

namespace moe {

struct ParameterCount {
  std::int64_t total = 0;
  std::int64_t active = 0;     ///< used by one token: K of E experts
  std::int64_t embedding = 0;  ///< of the total, looked up rather than multiplied
};
ParameterCount count_parameters(const ModelConfig& config);

/// FLOP of one token, forward and backward (three times the forward): 2 per multiplied weight, and attention over the keys
/// a token sees on average under causality and windows. Recomputation does not count.
double training_flops_per_token(const ModelConfig& config, std::int64_t sequence_length);

}  // namespace moe
