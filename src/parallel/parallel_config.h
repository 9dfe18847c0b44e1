/// How a run is spread over ranks.
#pragma once

#include <cstdint>
#include <optional>

#include "config/fields.h"
#include "mesh/mesh_layout.h"
#include "model/model_config.h"

namespace moe::parallel {

struct ParallelConfig {
  std::optional<std::int64_t> data;  ///< auto: all ranks
  std::int64_t expert = 1;           ///< taken out of the data ranks
  std::int64_t bucket_mib = 25;      ///< size of one gradient reduction
  bool overlap = true;               ///< start reductions while backward goes on; changes no bit

  void fields(config::Fields& f);
};

/// @throws ConfigError with every key that does not fit `world` ranks or the model
mesh::MeshLayout make_layout(const ParallelConfig& config, const ModelConfig& model, int world);

}  // namespace moe::parallel
