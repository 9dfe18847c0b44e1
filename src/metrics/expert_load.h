/// How evenly routers use their experts: load, drops, entropy, dead experts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace moe::metrics {

/// What one sparse layer's router did over a window, summed over ranks and micro-batches.
/// @shape routed_E [E]
struct RoutingCounts {
  std::int64_t layer = 0;              ///< index in the model
  std::vector<std::int64_t> routed_E{};  ///< routes chosen per expert, those dropped later included
  std::int64_t dropped = 0;            ///< routes beyond an expert's capacity
  std::int64_t tokens = 0;             ///< tokens that were routed
  double entropy_sum = 0;  ///< entropy of each token's router probabilities, summed @unit nats

  /// Widens the window. @throws InternalError if the layers differ
  void add(const RoutingCounts& other);
};

/// The load of one layer's experts; all zero where nothing was routed.
struct ExpertLoad {
  std::int64_t layer = 0;
  std::int64_t experts = 0;
  std::int64_t tokens = 0;
  double max_over_mean = 0;    ///< 1 = balanced, E = all to one
  double min_over_mean = 0;    ///< 1 = balanced, 0 = a dead expert
  double dropped_share = 0;    ///< of all routes
  double entropy = 0;          ///< mean over tokens @unit nats
  double entropy_share = 0;    ///< entropy / ln(E): 1 = the router prefers nobody
  std::int64_t dead_experts = 0;  ///< got no route in the window
  std::vector<double> share_E;    ///< share of all routes, sums to 1
};

ExpertLoad expert_load(const RoutingCounts& counts);

/// The routing report of a whole model, for people and for scripts.
class ExpertLoadReport {
 public:
  explicit ExpertLoadReport(std::vector<ExpertLoad> layers) : layers_(std::move(layers)) {}

  const std::vector<ExpertLoad>& layers() const { return layers_; }
  std::int64_t dead_experts() const;     ///< summed over layers
  double worst_max_over_mean() const;    ///< of any layer
  double dropped_share() const;          ///< mean over layers

  /// A heading, then a row per layer with the share of each expert in percent.
  std::string table() const;
  /// One JSON object: {"dead_experts", "load_max_over_mean", "dropped_share", "layers": [...]}.
  std::string json() const;

 private:
  std::vector<ExpertLoad> layers_;
};

}  // namespace moe::metrics
