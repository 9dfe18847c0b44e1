/// Drop-Upcycling: every expert is a copy whose neurons are put in a random order, and a share of them
/// is drawn anew.
///     order_e = a permutation of the F neurons (rows of gate and up, columns of down alike)
///     R_e     = floor(ratio F) places; W[R_e] ~ Normal(mean, std of exactly the elements replaced),
///               mean and std scalars for each matrix of each expert
/// One set R_e serves gate, up and down, so that (1 - ratio) F neurons stay whole (the paper); the
/// published code draws a set for each matrix, which leaves (1 - ratio)^3 (`index: independent`).
/// @paper Drop-Upcycling, arXiv:2502.19261, and its code
#pragma once

#include <cstdint>
#include <vector>

#include "growth/expert_scale.h"
#include "growth/expert_source.h"

namespace moe::growth {

struct DropSpec {
  double ratio = 0.5;
  bool independent = false;  ///< a set of places for each matrix
  std::uint64_t seed = 1;
  int stage = 0;
  ExpertScale scale;
};

/// Neurons drawn anew in each expert.
std::int64_t dropped_neurons(double ratio, std::int64_t hidden);

ExpertFill drop_experts(const DenseLayer& dense, const DropSpec& spec);

/// The order of an expert's neurons, and which places are drawn anew in gate, up and down.
struct DropPlan {
  std::vector<std::int32_t> order;             ///< place i holds the source's neuron order[i]
  std::array<std::vector<bool>, 3> redrawn{};  ///< gate, up, down
};
/// @det a function of (spec.seed, spec.stage, layer, expert) alone
DropPlan drop_plan(const DropSpec& spec, std::int64_t layer, std::int64_t expert,
                   std::int64_t hidden);

}  // namespace moe::growth
