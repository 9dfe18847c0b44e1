/// Which layers are sparse, written as a config's rules.
#pragma once

#include <vector>

#include "model/model_config.h"

namespace moe::growth {

/// Sets the rules of `config` so that layer l is sparse exactly where `sparse[l]`: the rules stay as they are if they
/// say so already; else the same kind of rule, or all layers but a list, which every format can express.
/// @invariant config.is_sparse(l) == sparse[l] for l < config.num_hidden_layers == sparse.size(), if it has experts
void set_sparse_layers(ModelConfig& config, const std::vector<bool>& sparse);

}  // namespace moe::growth
