/// Softmax routing: scores, selection and combine weights for every token.
/// @paper Shazeer 2017, arXiv:1701.06538; Mixtral, arXiv:2401.04088
#pragma once

#include "device/stream.h"
#include "tensor/view.h"

namespace moe::kernels {

/// probability = softmax(logits) over E; expert[t] = the K largest, in decreasing order, ties to the lower
/// expert id; weight[t, k] = probability of expert[t, k], divided by their sum over k if `renormalize`.
/// (Top-k then softmax over the k equals renormalised softmax then top-k.)
/// @shape logits, probability [T, E] f32 (f64); expert [T, K] i32, K <= E; weight [T, K] f32 (f64);
///   logsumexp [T] f32 (f64) of the raw logits; all contiguous
/// @invariant a row with a NaN gives NaN weights and experts that are in range
/// @det yes
struct TopKRouter {
  View logits;
  View probability;
  View logsumexp;
  View expert;
  View weight;
  bool renormalize = false;
};
void top_k_router(Stream& stream, const TopKRouter& args);

/// dlogits from dweight [T, K] and, where given, dprobability [T, E] (balance loss) and dlogsumexp [T] (z-loss).
/// A route whose expert is -1 has no dweight and no share in the gradient. Where routes are dropped after weights
/// were renormalised, pass the experts as they were selected, with dweight 0 for the dropped: their
/// probabilities still stand in the denominator.
/// @det yes
struct TopKRouterBackward {
  View probability;
  View expert;
  View weight;
  View dweight;
  View dprobability;
  View dlogsumexp;
  View dlogits;
  bool renormalize = false;
};
void top_k_router_backward(Stream& stream, const TopKRouterBackward& args);

}  // namespace moe::kernels
