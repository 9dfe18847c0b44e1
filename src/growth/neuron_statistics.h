/// Mean and deviation of the elements of any set of neurons, from one reading of a layer.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "growth/expert_source.h"

namespace moe::growth {

struct Moments {
  double mean = 0;
  double squares = 0;  ///< sum of squared distances from the mean
  std::int64_t count = 0;

  /// Of the elements themselves (divided by count, not count - 1).
  double deviation() const;
};

struct NeuronStatistics {
  std::array<std::vector<Moments>, 3> of;  ///< gate (empty in plain layers), up, down; each by neuron
};

/// @cost one reading of the layer, in chunks
NeuronStatistics neuron_statistics(const DenseLayer& dense);

/// Of all elements of these neurons together, `width` elements each.
/// @paper Chan, Golub, LeVeque 1979 (pairwise moments)
Moments pooled(const std::vector<Moments>& neurons, std::span<const std::int32_t> chosen,
               std::int64_t width);

}  // namespace moe::growth
