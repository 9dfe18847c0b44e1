/// Memory of one rank by category, predicted from the config.
#pragma once

#include <array>
#include <cstdint>

#include "device/allocator.h"
#include "mesh/mesh_layout.h"
#include "run/run_config.h"

namespace moe::run {

/// Peaks, as the allocator's accounts will show them in a steady training loop with balanced routing.
struct MemoryPlan {
  std::array<std::int64_t, kMemoryCategories> bytes{};
  /// Live at once: less than the sum of the categories, since gradients come while activations go.
  std::int64_t total = 0;
  std::int64_t shard_file = 0;  ///< beside it while saving
  /// What the process has resident at most: the total, gaps between blocks, a shard file while saving, the programs.
  std::int64_t resident() const;
  std::int64_t& operator[](MemoryCategory category) {
    return bytes[static_cast<std::size_t>(category)];
  }
};

/// @cost builds the model's shapes
MemoryPlan plan_memory(const RunConfig& config, const mesh::MeshLayout& layout);

}  // namespace moe::run
