/// A ModelConfig as a Hugging Face config.json: the inverse of hf_config.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "interop/hf_config.h"

namespace moe::interop {

/// What config.json tells besides the model.
struct HuggingFaceExtras {
  std::string dtype;  ///< "float32", ...; "" leaves the key out
  std::optional<std::int64_t> bos_token_id;
  std::vector<std::int64_t> eos_token_ids;
};

/// Why `architecture` cannot express the model: "<field>: <this model's>, <what the architecture makes
/// of it>" each; empty if it can.
std::vector<std::string> obstacles(Architecture architecture, const ModelConfig& config);

/// `forced` if given, else `preferred` if it can express the model, else the first that can.
/// @throws CheckpointError with the obstacles; without `forced`, those of the nearest architecture
Architecture choose_architecture(const ModelConfig& config, std::optional<Architecture> preferred,
                                 std::optional<Architecture> forced);

/// "LlamaForCausalLM" or "llama". @throws ConfigError listing the known ones
Architecture architecture_from(const std::string& name);

/// Spelled as every version of transformers reads it, old spellings and new.
/// @invariant parsing the text gives the facts of `config` (model_facts.h), its initializer_range, and
///   its balance coefficient in the pooled form transformers has
/// @throws CheckpointError with the obstacles
std::string hugging_face_config_text(const ModelConfig& config, Architecture architecture,
                                     const HuggingFaceExtras& extras = {});

/// Settings of training that config.json has no place for, and traps of other programs that read the
/// files: "<field>: ..." for the log.
std::vector<std::string> export_notes(const ModelConfig& config, Architecture architecture);

}  // namespace moe::interop
