/// Softmax top-k routing scores.
#pragma once

#include "autograd/variable.h"

namespace moe::ops {

struct TopK {
  Variable probability;  ///< [T, E] f32: softmax over all experts
  Variable logsumexp;    ///< [T] f32 of the raw logits, for the z-loss
  Tensor expert;         ///< [T, K] i32, best first, ties to the lower id; carries no gradient
  Variable weight;       ///< [T, K] f32: probability of the chosen, renormalised if asked
};

/// @shape logits [T, E] f32 (f64), K <= E
/// @grad to logits through weight, probability and logsumexp; saves probability, choice and weight  @det yes
/// @throws ShapeError if K > E
/// @paper Shazeer 2017, arXiv:1701.06538; Mixtral's top-k then softmax is `renormalize`
TopK top_k_router(const Variable& logits, std::int64_t choices, bool renormalize);

}  // namespace moe::ops
