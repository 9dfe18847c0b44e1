/// Which experts of a layer become one.
#pragma once

#include <cstdint>
#include <vector>

#include "growth/calibration.h"

namespace moe::growth {

/// Experts that are merged, the one whose order of neurons is kept first, and the weight of each.
struct ExpertGroup {
  std::vector<std::int64_t> members;
  std::vector<double> weights;  ///< by frequency of use; they sum to 1 (equal where none was used)
};

/// MC-SMoE: the most used experts are cores; every other joins the core whose router logits are most
/// like its own (cosine over the calibration tokens). An expert that does what a core already does
/// (the same logits and outputs) is no core while there are others: copies find each other.
/// @returns `groups` of them, by their smallest member
/// @paper MC-SMoE, arXiv:2310.01334
std::vector<ExpertGroup> group_by_frequency(const LayerMeasure& measure, std::int64_t groups);

/// HC-SMoE: agglomerative clustering of mean outputs, average linkage
///     d(A, B) = mean over a in A, b in B of ||o_a - o_b||
/// The most used member comes first. @paper HC-SMoE, arXiv:2410.08589
std::vector<ExpertGroup> group_by_outputs(const LayerMeasure& measure, std::int64_t groups);

}  // namespace moe::growth
