/// Two models at rest over the same tokens: losses, and how far their logits lie apart.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "growth/blockwise_model.h"

namespace moe::growth {

struct Comparison {
  double loss_before = 0;     ///< mean cross-entropy of next tokens
  double loss_after = 0;
  double max_difference = 0;  ///< largest |logit after - logit before|; infinite if any is not finite
  double max_logit = 0;       ///< largest |logit before|
};

/// A model that has run over tokens: what a comparison needs of it, so that a model between two stages runs once.
struct Evaluated {
  BlockwiseModel model;
  std::vector<Tensor> states;  ///< BlockwiseModel::hidden
};
Evaluated evaluate(BlockwiseModel model, std::span<const std::int32_t> tokens);

/// Both evaluated on `tokens`. @cost a chunk of logits, and both heads, in memory
Comparison compare(const Evaluated& before, const Evaluated& after,
                   std::span<const std::int32_t> tokens);

/// @shape both models have the same vocabulary
/// @cost one reading of each model; a chunk of logits, and both heads, in memory
/// @throws ConfigError when the vocabularies differ, DataError for a token outside it
Comparison compare(const BlockwiseModel& before, const BlockwiseModel& after,
                   std::span<const std::int32_t> tokens);

/// The mean cross-entropy of each sequence's next tokens; 0 where no sequence has two tokens.
double evaluate_loss(const BlockwiseModel& model, std::span<const std::int32_t> tokens);

}  // namespace moe::growth
