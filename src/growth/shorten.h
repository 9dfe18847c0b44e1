/// The way back of `deepen: {method: identity}`: blocks that write nothing are taken out.
///
/// The layers that identity deepening from `num_hidden_layers` would have added go; what is left computes what the source
/// computes, bit for bit. Refused when one of them writes something: it has been trained since.
/// @paper LLaMA-Pro arXiv:2401.02415 (the blocks)
#pragma once

#include <optional>

#include "growth/stage.h"

namespace moe::growth {

struct ShortenConfig {
  std::optional<std::int64_t> num_hidden_layers;  ///< must be given

  void fields(config::Fields& f);
};

std::unique_ptr<Stage> make_shorten(const ShortenConfig& options);
std::unique_ptr<StageOptions> shorten_options();

}  // namespace moe::growth
