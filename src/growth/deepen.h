/// Scale-Up in depth: layers are stacked, interpolated, or added as identities. Methods: growth/depth_maps.h.
#pragma once

#include <optional>
#include <string>

#include "growth/stage.h"

namespace moe::growth {

struct DeepenConfig {
  std::string method = "identity";
  std::optional<std::int64_t> num_hidden_layers;  ///< must be given

  void fields(config::Fields& f);
};

/// What depends on a layer's place (sparse layers, sliding windows) goes where its layer goes.
/// @throws ConfigError naming the option, what it got and what would be possible
ModelConfig deepened(const ModelConfig& source, const DeepenConfig& options);

std::unique_ptr<Stage> make_deepen(const DeepenConfig& options);
std::unique_ptr<StageOptions> deepen_options();

}  // namespace moe::growth
