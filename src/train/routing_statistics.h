/// Adds up what routers did, over micro-batches and ranks, for reports.
#pragma once

#include <vector>

#include "comm/group.h"
#include "metrics/expert_load.h"
#include "model/model.h"

namespace moe::train {

class RoutingStatistics {
 public:
  explicit RoutingStatistics(const ModelConfig& config);

  /// @cost one pass over the scores of the micro-batch
  void add(const std::vector<BalanceTerm>& terms, const Tensor& mask_T);
  /// Sums over the ranks of a group. @comm one f64 per layer and expert, plus three a layer
  void sum_over(comm::Group& group);
  const std::vector<metrics::RoutingCounts>& counts() const { return counts_; }
  std::vector<metrics::ExpertLoad> loads() const;

 private:
  std::vector<metrics::RoutingCounts> counts_;
};

}  // namespace moe::train
