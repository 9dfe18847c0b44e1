/// How alike the experts of a model are.
#pragma once

#include <optional>

#include "growth/stage.h"

namespace moe::growth {

/// Mean over MoE layers and pairs of experts of the cosine of their weights (gate, up and down as one
/// vector); 1 for identical experts. None for a dense model or a single expert. An expert of zeros has
/// the cosine 0 with any other.
///
/// With unit vectors u_e, the mean over pairs is (||sum u_e||^2 - E) / (E (E - 1)).
/// @cost two readings of the experts, a chunk in memory
std::optional<double> mean_expert_cosine(const ModelSource& source);

}  // namespace moe::growth
