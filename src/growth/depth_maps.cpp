#include "growth/depth_maps.h"

namespace moe::growth {

DepthMap stack(std::int64_t source_layers, std::int64_t result_layers) {
  DepthMap map;
  for (std::int64_t l = 0; l < result_layers; ++l) map.from.push_back(l % source_layers);
  map.silent.assign(map.from.size(), false);
  return map;
}

DepthMap interpolate(std::int64_t source_layers, std::int64_t result_layers) {
  DepthMap map;
  for (std::int64_t l = 0; l < result_layers; ++l) {
    map.from.push_back(l * source_layers / result_layers);
  }
  map.silent.assign(map.from.size(), false);
  return map;
}

DepthMap identity(std::int64_t source_layers, std::int64_t result_layers) {
  const std::int64_t added = result_layers - source_layers;
  DepthMap map;
  for (std::int64_t l = 0; l < source_layers; ++l) {
    const std::int64_t after = (l + 1) * added / source_layers - l * added / source_layers;
    for (std::int64_t copy = 0; copy <= after; ++copy) {
      map.from.push_back(l);
      map.silent.push_back(copy > 0);
    }
  }
  return map;
}

const config::Registry<DepthMethod>& depth_methods() {
  static const config::Registry<DepthMethod> table(
      "deepen.method", {{"stack", &stack}, {"interpolate", &interpolate}, {"identity", &identity}});
  return table;
}

}  // namespace moe::growth
