/// How alike a layer's experts are.
#pragma once

#include <optional>

#include "growth/stage.h"

namespace moe::growth {

/// The mean over sparse layers of the mean cosine between two different experts, all their weights taken as one vector:
/// 1 for copies, about 0 for independent ones. An expert of zeros is at 0 to all others. None: no layer has two experts.
/// @cost experts are read twice, a chunk of one expert at a time
/// @paper a health metric of Skywork-MoE (arXiv:2406.06563)
std::optional<double> mean_expert_cosine(const ModelSource& model);

}  // namespace moe::growth
