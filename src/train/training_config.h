/// The config sections `training` and `eval`.
#pragma once

#include <cstdint>
#include <optional>

#include "config/fields.h"

namespace moe::train {

struct TrainingConfig {
  std::optional<std::int64_t> steps;
  std::optional<std::int64_t> tokens;
  std::int64_t sequence_length = 512;
  std::int64_t micro_batch_size = 4;
  std::int64_t global_batch_size = 4;
  double gradient_clip = 1.0;
  bool recompute = false;

  void fields(config::Fields& f);
  /// Steps of the whole run.
  std::int64_t total_steps() const;
};

struct EvalConfig {
  std::int64_t interval = 0;
  bool final_evaluation = true;
  std::optional<std::int64_t> batches;  ///< none: all held-out text

  void fields(config::Fields& f);
};

}  // namespace moe::train
