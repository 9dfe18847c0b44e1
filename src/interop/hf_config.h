/// A Hugging Face config.json as a ModelConfig.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "model/model_config.h"

namespace moe::interop {

/// The architectures whose files we read.
enum class Architecture { Llama, Mistral, Mixtral, Qwen2, Qwen3, Qwen2Moe, Qwen3Moe, Olmoe };
inline constexpr std::array kArchitectures{
    Architecture::Llama, Architecture::Mistral,  Architecture::Mixtral,  Architecture::Qwen2,
    Architecture::Qwen3, Architecture::Qwen2Moe, Architecture::Qwen3Moe, Architecture::Olmoe};

/// As in config.json's "architectures": "LlamaForCausalLM".
std::string_view to_string(Architecture architecture);
/// As in config.json's "model_type": "llama".
std::string_view model_type_of(Architecture architecture);

struct HuggingFaceConfig {
  Architecture architecture = Architecture::Llama;
  ModelConfig model;
  std::string dtype;               ///< "float32", "bfloat16", ... of the weights; "" where the file does not say
  std::vector<std::string> notes;  ///< "<key>: ..." for settings that training here does not follow
};

/// Reads old and new spellings; a key that is absent has the default of transformers' config class, except sizes, which
/// must be there. Keys that do not change what the model computes are ignored.
///
/// The balance loss becomes transformers': pooled over layers, counts of the micro-batch, its coefficient multiplied by
/// num_experts_per_tok (theirs is k when balanced, ours 1).
/// @throws CheckpointError naming the file and the key: not JSON, missing or ill-typed keys, two spellings that disagree,
///   values out of range, unknown architectures, rope types and activations, quantised weights
HuggingFaceConfig parse_hugging_face_config(std::string_view text, const std::string& where);
/// The same from a file; notes are logged as warnings.
HuggingFaceConfig read_hugging_face_config(const Path& file);

class ContainedFolder;
inline constexpr const char* kConfigName = "config.json";
/// The same from the config.json of a folder that is not to be left.
HuggingFaceConfig read_hugging_face_config(const ContainedFolder& folder);

}  // namespace moe::interop
