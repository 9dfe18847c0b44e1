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

/// Drops routes beyond `capacity` per expert: they are -1 in the result. Admitted are all first choices in token order,
/// then all second choices, and so on (GShard); with `by_weight`, larger weights first.
/// @shape expert [T, K] i32; weight [T, K] f32 (f64), read only `by_weight` -> [T, K]; carries no gradient
/// @det yes  @paper GShard, arXiv:2006.16668
struct CapacityLimit {
  std::int64_t experts = 0;
  std::int64_t capacity = 0;
  bool by_weight = false;
};
Tensor limit_capacity(const Tensor& expert, const Tensor& weight, const CapacityLimit& limit);

/// Routes in the order of their experts, a stable sort; those of expert -1 are left out.
/// @det yes  @throws ShapeError for an expert outside [-1, E)
struct SortedRoutes {
  Tensor offset;  ///< [E+1] i32: rows of expert e are [offset[e], offset[e+1])
  Tensor route;   ///< [offset[E]] i32: route t*K + k of each row
  Tensor row;     ///< [T, K] i32: row of each route, -1 for those left out
};
SortedRoutes sort_routes(const Tensor& expert, std::int64_t experts);

}  // namespace moe::ops
