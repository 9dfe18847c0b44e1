/// The rules of ModelConfig's own fields, applied to a config that did not come through YAML.
#pragma once

#include <string>
#include <vector>

#include "model/model_config.h"

namespace moe::interop {

/// "<key>: <what is wrong>" for every value out of range, unknown name and contradiction; empty when all is well.
std::vector<std::string> broken_rules(const ModelConfig& config);

}  // namespace moe::interop
