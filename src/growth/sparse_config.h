/// The config of a dense model after it became an MoE.
#pragma once

#include <optional>

#include "growth/sparsify.h"
#include "interop/hf_config.h"

namespace moe::growth {

/// The MoE architecture that has this dense model's attention: Llama, Mistral -> Mixtral, Qwen2 ->
/// Qwen2-MoE, Qwen3 -> Qwen3-MoE; none where no architecture of Hugging Face has it.
std::optional<interop::Architecture> sparse_architecture(const ModelConfig& dense);

/// @throws ConfigError naming the option that the source cannot take, and what it could
ModelConfig sparse_config(const SparsifyConfig& options, const ModelConfig& dense);

}  // namespace moe::growth
