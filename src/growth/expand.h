/// MoE -> larger MoE: expert e becomes r_e copies of itself, router row included, side by side.
///     uniform  r_e = N'/N (the first ones have one more where N does not divide N')
///     utility  r_e >= 1 by measured use: again and again the expert with the largest u_e / r_e gets
///              one more, at most max(3, ceil(N'/N)) each; u_e = sum of p_e ||E_e(x)|| over the
///              calibration tokens routed to e
///
/// Exact (up to rounding) when N' = m N and num_experts_per_tok grows as well, K' = m K: the m copies
/// tie, so they are chosen together and share the weight of the one. With K kept, as published, a
/// token's K become copies of fewer experts: the function changes (1.32 -> 1.38 in the paper), most so
/// right after growth.
///
/// Copies that are alike get equal gradients for ever. Two breakers:
///     expert_noise  pairs of copies have down projections A (1 + u) and A (1 - u), u uniform with the
///                   root mean square expert_noise, to the bit: what one gains the other loses, so
///                   where both are chosen with equal weights the function is kept; 0.01 by default
///     router_noise  Uniform(-d, d) on the router rows of all copies but the first; by default 0 where
///                   growth is exact, else 0.001 (the paper's figure, there on a bias)
///
/// `granularity` G keeps groups of G consecutive experts together (after sparsify: granular): whole
/// groups are copied, so that tied shards still are chosen as whole replicas.
/// @paper Expert Upcycling, arXiv:2604.19835
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "growth/stage.h"

namespace moe::growth {

struct ExpandConfig {
  std::string method = "uniform";  ///< uniform, utility
  std::int64_t num_experts = 16;
  std::optional<std::int64_t> num_experts_per_tok;  ///< none: as it is
  std::int64_t granularity = 1;
  double expert_noise = 0.01;
  std::optional<double> router_noise;
  CalibrationConfig calibration;

  void fields(config::Fields& f);
};

std::unique_ptr<Stage> make_expand(const ExpandConfig& config);
std::unique_ptr<StageOptions> expand_options();

/// Copies of each family, `total` in all.
std::vector<std::int64_t> uniform_replicas(std::int64_t families, std::int64_t total);
/// @invariant each at least 1 and at most max(3, ceil(total / families)); ties to the lower id
std::vector<std::int64_t> utility_replicas(const std::vector<double>& utility,
                                           std::int64_t total);

}  // namespace moe::growth
