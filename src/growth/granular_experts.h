/// Experts as shards of copies of a dense layer: expert e = r G + s holds shard s of replica r, which is
///     gate, up: rows    [s F/G, (s+1) F/G) of each matrix by itself
///     down:     columns [s F/G, (s+1) F/G)
/// times the scales. The router gives all shards of a replica the same row, so a token's top K (a
/// multiple of G, ties to the lower id) is a union of K/G whole replicas. G = 1: whole copies.
/// @paper sparse upcycling: arXiv:2212.05055; virtual groups: He 2024, arXiv:2410.07524
#pragma once

#include "growth/expert_scale.h"
#include "growth/expert_source.h"

namespace moe::growth {

ExpertFill granular_experts(const DenseLayer& dense, std::int64_t granularity,
                            const ExpertScale& scale);

}  // namespace moe::growth
