/// Scale-Up in width: residual channels, heads, neurons. Methods: growth/width_*.h.
#pragma once

#include <optional>
#include <string>

#include "growth/stage.h"

namespace moe::growth {

/// Sizes that are not named stay. head_dim always stays: it fixes the rotary frequencies and the scale of scores.
struct WidenConfig {
  std::string method = "lemon";
  std::optional<std::int64_t> hidden_size;
  std::optional<std::int64_t> intermediate_size;
  std::optional<std::int64_t> moe_intermediate_size;
  std::optional<std::int64_t> shared_expert_intermediate_size;
  std::optional<std::int64_t> num_attention_heads;
  std::optional<std::int64_t> num_key_value_heads;

  void fields(config::Fields& f);
};

/// @throws ConfigError naming the option, what it got and what would be possible
ModelConfig widened(const ModelConfig& source, const WidenConfig& options);

std::unique_ptr<Stage> make_widen(const WidenConfig& options);
std::unique_ptr<StageOptions> widen_options();

}  // namespace moe::growth
