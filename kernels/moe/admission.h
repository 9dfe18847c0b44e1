/// Who keeps a place when an expert has fewer places than routes.
#pragma once

#include <cstdint>

namespace moe::kernels {

/// Keeps, for every expert, the `capacity` routes of largest weight (ties: the earlier route; NaN
/// last) and sets `expert` of the others to -1. @shape expert, weight [routes]  @det yes
void admit_by_weight(std::int32_t* expert, const float* weight, std::int64_t routes,
                     std::int64_t capacity);
void admit_by_weight(std::int32_t* expert, const double* weight, std::int64_t routes,
                     std::int64_t capacity);

}  // namespace moe::kernels
