/// Putting the neurons of one expert in the order of another's, which changes nothing it computes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/tensor_source.h"

namespace moe::growth {

/// The stacked matrices of a layer's experts. @shape gate_up [E, 2, F, D], down [E, D, F]
struct StackedExperts {
  const checkpoint::TensorSource& source;
  std::string gate_up;
  std::string down;
};

/// p such that neuron p[i] of `expert` belongs at place i of `reference`: it maximises the sum of
/// products of what goes in and out of the neurons, over all permutations.
/// @cost 2 F^2 (3 D) FLOP and an assignment of F (see linear_assignment.h); the two experts and F^2
///   products in memory; identical experts cost their reading only
/// @paper MC-SMoE, arXiv:2310.01334; Git Re-Basin, arXiv:2209.04836
std::vector<std::int32_t> align_neurons(const StackedExperts& experts, std::int64_t reference,
                                        std::int64_t expert);

}  // namespace moe::growth
