/// Private to this folder: from the keys of a config.json to the fields of a ModelConfig.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "interop/hf_config.h"
#include "interop/json_object.h"

namespace moe::interop {

/// What transformers' config class of an architecture takes for absent keys.
struct Traits {
  Architecture architecture = Architecture::Llama;
  std::string_view class_name;
  std::string_view model_type;
  bool sparse = false;
  std::int64_t key_value_heads = 0;  ///< 0: as many as query heads
  std::int64_t head_dim = 0;         ///< 0: hidden_size / num_attention_heads
  std::int64_t max_positions = 2048;
  double norm_epsilon = 1e-6;
  double rope_theta = 1e4;
  std::int64_t sliding_window = 0;
  double balance_coefficient = 0.001;
  std::optional<std::int64_t> pad_token_id;
};

/// @throws CheckpointError for missing and ill-typed keys; ranges are checked by ModelConfig's own rules afterwards
ModelConfig read_model(const JsonObject& json, const Traits& traits);

/// The rotary part, which has the most spellings. @throws CheckpointError
void read_rope(const JsonObject& json, const Traits& traits, ModelConfig& config);

}  // namespace moe::interop
