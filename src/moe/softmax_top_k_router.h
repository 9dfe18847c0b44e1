/// Softmax scores, the K largest chosen.
/// @paper Shazeer 2017, arXiv:1701.06538; Switch, arXiv:2101.03961; Mixtral, arXiv:2401.04088
#pragma once

#include "moe/router.h"

namespace moe {

/// Softmax over all experts, then top-k; renormalised over the k (the same as Mixtral's top-k, then softmax), or not.
std::unique_ptr<Router> make_softmax_top_k_router(const RouterSpec& spec);

/// For measuring, not for learning: tokens take the experts in turn, as if all others scored nothing, so that every expert
/// has equal work whatever the weights; their weights are the softmax over the chosen. Costs what softmax_topk costs.
std::unique_ptr<Router> make_round_robin_router(const RouterSpec& spec);

}  // namespace moe
