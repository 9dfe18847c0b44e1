/// What moe-eval does.
#pragma once

#include <string>
#include <vector>

#include "base/file.h"
#include "comm/world.h"

namespace moe::run {

struct EvaluateOptions {
  Path checkpoint;
  std::vector<std::string> data;  ///< shard prefixes; empty: the run's own held-out text
  std::int64_t batch_size = 0;    ///< sequences a rank reads at a time; 0: as the run
  std::int64_t sequence_length = 0;  ///< tokens a prediction may look back on, and one more; 0: as the run
  std::int64_t expert = 1;        ///< ranks the experts are spread over
  std::string compute_dtype;      ///< "" = as the run
  bool json = false;
  Path json_file;                 ///< also write the JSON here; empty: nowhere
};

/// Held-out loss, bits per byte and the routing report, as text or JSON; the same on any number of ranks.
/// @throws CheckpointError, DataError, ConfigError
std::string evaluate_checkpoint(const EvaluateOptions& options, comm::World& world);

}  // namespace moe::run
