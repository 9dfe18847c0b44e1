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
  std::int64_t total() const;
  std::int64_t& operator[](MemoryCategory category) {
    return bytes[static_cast<std::size_t>(category)];
  }
};

/// @cost builds the model's shapes
MemoryPlan plan_memory(const RunConfig& config, const mesh::MeshLayout& layout);

}  // namespace moe::run
