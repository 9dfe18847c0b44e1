/// What merge and prune have in common: fewer experts in every layer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "model/model_config.h"

namespace moe::growth {

/// The config with `experts` of them, and num_experts_per_tok as given, or as it was but at most
/// `experts`. `stage` names the options in refusals.
/// @throws ConfigError for a dense source, more experts than it has, or more choices than experts
ModelConfig with_fewer_experts(const std::string& stage, const ModelConfig& source,
                               std::int64_t experts, std::optional<std::int64_t> choices);

}  // namespace moe::growth
