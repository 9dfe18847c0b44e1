/// The permutation that maximises a sum of similarities.
/// @paper Jonker, Volgenant 1987 (shortest augmenting paths)
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace moe::growth {

/// p with the largest sum over i of similarity[i][p[i]]. Among equals the identity is preferred where
/// every row's own place is one of its largest.
/// @shape similarity [n, n], finite
/// @det yes
/// @cost O(n^3) at worst; O(n^2) when every row has its largest in a column of its own
std::vector<std::int32_t> best_assignment(std::span<const float> similarity, std::int64_t n);

}  // namespace moe::growth
