/// Dense -> MoE. Every chosen layer's feed-forward part becomes N experts and a router.
///     copy      whole copies: exact for any router when the weights of the chosen sum to 1
///     granular  virtual groups of shards (granular_experts.h): exact for the same reason
///     drop      permuted copies with a share of their neurons drawn anew (drop_experts.h)
/// Router rows are Normal(0, router_std^2), one for each replica, keyed by (seed, stage, layer).
///
/// Shared experts (n of them, as wide as the dense layer, one matrix) take half of the output, the
/// routed ones the other half, so that both learn from the first step:
///     routed down / 2; shared = n copies, down / (2 n g), g = sigmoid(0) = 1/2 with a gate, else 1
/// The gate starts at zero. Powers of two throughout for n = 1, 2, 4: exact. (A shared expert with a
/// zero down projection would be exact too, but starts without a gradient on gate and up.)
///
/// With `norm_topk_prob: false` the sum of weights depends on the token: the scale is that of a
/// uniform router, exact with router_std 0 and approximate otherwise.
/// @paper sparse upcycling: arXiv:2212.05055; virtual groups: arXiv:2410.07524; drop: arXiv:2502.19261
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "growth/stage.h"

namespace moe::growth {

struct SparsifyConfig {
  std::string method = "copy";            ///< copy, granular, drop
  std::int64_t num_experts = 8;           ///< of them all; granular: of the small ones
  std::int64_t num_experts_per_tok = 2;   ///< the same
  bool norm_topk_prob = true;
  std::optional<std::int64_t> granularity;     ///< shards of a replica; method granular only
  std::string scaling = "exact";               ///< exact, root
  std::optional<std::int64_t> shared_experts;  ///< none: 1 where the architecture needs one, else 0
  double router_std = 0.02;
  double noise_std = 0.0;  ///< Normal(0, noise_std^2) added to every weight of the routed experts
  double ratio = 0.5;
  std::string index = "shared";  ///< shared, independent
  std::string layers = "all";    ///< as ModelConfig::sparse_layers: all, step, after_dense, list
  std::int64_t decoder_sparse_step = 1;
  std::int64_t first_k_dense_replace = 0;
  std::vector<std::int64_t> sparse_layer_list;
  std::vector<std::int64_t> mlp_only_layers;

  void fields(config::Fields& f);
};

std::unique_ptr<Stage> make_sparsify(const SparsifyConfig& config);
std::unique_ptr<StageOptions> sparsify_options();

}  // namespace moe::growth
