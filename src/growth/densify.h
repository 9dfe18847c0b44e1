/// MoE -> dense: the inverse of sparsify at step 0, and a starting point after it.
///     concatenate  the G shards of a replica stand side by side, the replicas are averaged
///     average      every expert is a replica (G = 1)
/// and what sparsify scaled is divided out again (expert_scale.h; `scaling` as it was there), so that
/// the dense layer is what a uniform router makes of the experts. Replicas that are still equal come
/// back bit by bit: their mean is x_0 + sum w_i (x_i - x_0), and scales are powers of two wherever S is
/// one.
///
/// A shared expert (as wide as n dense layers, its gate taken as sigmoid(0)) is n more replicas: they
/// and the routed ones count one half each, as sparsify shared the output out.
/// Neurons are not aligned: experts made by dropping, or trained apart, are first merged into one
/// (merge: num_experts 1) and then densified.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "growth/stage.h"

namespace moe::growth {

struct DensifyConfig {
  std::string method = "concatenate";       ///< concatenate, average
  std::optional<std::int64_t> granularity;  ///< none: intermediate_size / moe_intermediate_size
  std::string scaling = "exact";            ///< exact, root

  void fields(config::Fields& f);
};

std::unique_ptr<Stage> make_densify(const DensifyConfig& config);
std::unique_ptr<StageOptions> densify_options();

}  // namespace moe::growth
