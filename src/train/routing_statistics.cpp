#include "train/routing_statistics.h"

#include <cmath>

#include "base/check.h"

namespace moe::train {

RoutingStatistics::RoutingStatistics(const ModelConfig& config) {
  for (std::int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    if (!config.is_sparse(layer)) continue;
    counts_.push_back(
        {.layer = layer,
         .routed_E = std::vector<std::int64_t>(static_cast<std::size_t>(config.num_experts), 0)});
  }
}

namespace {

template <class T>
double entropy_sum(const Tensor& probability_TE, const std::vector<bool>& real) {
  const auto p = probability_TE.span<T>();
  const auto experts = static_cast<std::size_t>(probability_TE.dim(1));
  double total = 0.0;
  for (std::size_t t = 0; t < real.size(); ++t) {
    if (!real[t]) continue;
    for (std::size_t e = 0; e < experts; ++e) {
      const auto value = static_cast<float>(p[t * experts + e]);
      if (value > 0) total -= static_cast<double>(value * std::log(value));
    }
  }
  return total;
}

void add_term(const BalanceTerm& term, const std::vector<bool>& real,
              metrics::RoutingCounts& counts) {
  const auto chosen = term.chosen_TK.span<std::int32_t>();
  const auto kept = term.kept_TK.span<std::int32_t>();
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    if (chosen[i] < 0) continue;
    ++counts.routed_E[static_cast<std::size_t>(chosen[i])];
    if (kept[i] < 0) ++counts.dropped;
  }
  for (const bool one : real) counts.tokens += one ? 1 : 0;
  const Tensor& probability = term.probability_TE.value();
  counts.entropy_sum += probability.dtype() == DType::F64 ? entropy_sum<double>(probability, real)
                                                          : entropy_sum<float>(probability, real);
}

}  // namespace

void RoutingStatistics::add(const std::vector<BalanceTerm>& terms, const Tensor& mask_T) {
  MOE_CHECK_EQ(terms.size(), counts_.size());
  for (std::size_t l = 0; l < terms.size(); ++l) {
    MOE_CHECK_EQ(terms[l].layer, counts_[l].layer);
    std::vector<bool> real(static_cast<std::size_t>(terms[l].chosen_TK.dim(0)), true);
    if (mask_T.defined()) {
      const auto mask = mask_T.span<std::uint8_t>();
      for (std::size_t t = 0; t < real.size(); ++t) real[t] = mask[t] != 0;
    }
    add_term(terms[l], real, counts_[l]);
  }
}

void RoutingStatistics::sum_over(comm::Group& group) {
  if (group.size() == 1 || counts_.empty()) return;
  std::vector<double> values;
  for (const metrics::RoutingCounts& counts : counts_) {
    for (const std::int64_t routed : counts.routed_E) values.push_back(static_cast<double>(routed));
    values.push_back(static_cast<double>(counts.dropped));
    values.push_back(static_cast<double>(counts.tokens));
    values.push_back(counts.entropy_sum);
  }
  comm::sum_over(group, values);
  std::size_t at = 0;
  const auto next = [&] { return static_cast<std::int64_t>(std::llround(values[at++])); };
  for (metrics::RoutingCounts& counts : counts_) {
    for (std::int64_t& routed : counts.routed_E) routed = next();
    counts.dropped = next();
    counts.tokens = next();
    counts.entropy_sum = values[at++];
  }
}

std::vector<metrics::ExpertLoad> RoutingStatistics::loads() const {
  std::vector<metrics::ExpertLoad> loads;
  for (const metrics::RoutingCounts& counts : counts_) loads.push_back(metrics::expert_load(counts));
  return loads;
}

}  // namespace moe::train
