#include "metrics/expert_load.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"
#include "base/format.h"
#include "metrics/escape.h"

namespace moe::metrics {

void RoutingCounts::add(const RoutingCounts& other) {
  MOE_CHECK_EQ(layer, other.layer);
  if (routed_E.empty()) routed_E.resize(other.routed_E.size());
  MOE_CHECK_EQ(routed_E.size(), other.routed_E.size());
  for (std::size_t e = 0; e < routed_E.size(); ++e) routed_E[e] += other.routed_E[e];
  dropped += other.dropped;
  tokens += other.tokens;
  entropy_sum += other.entropy_sum;
}

ExpertLoad expert_load(const RoutingCounts& counts) {
  ExpertLoad load;
  load.layer = counts.layer;
  load.experts = static_cast<std::int64_t>(counts.routed_E.size());
  load.tokens = counts.tokens;
  load.share_E.assign(counts.routed_E.size(), 0.0);
  load.dead_experts = std::ranges::count(counts.routed_E, 0);
  if (counts.tokens > 0) {
    load.entropy = counts.entropy_sum / static_cast<double>(counts.tokens);
    load.entropy_share =
        load.experts > 1 ? load.entropy / std::log(static_cast<double>(load.experts)) : 1.0;
  }
  const auto routes = static_cast<double>(
      std::accumulate(counts.routed_E.begin(), counts.routed_E.end(), std::int64_t{0}));
  if (routes == 0) return load;
  std::ranges::transform(counts.routed_E, load.share_E.begin(),
                         [&](std::int64_t routed) { return static_cast<double>(routed) / routes; });
  const auto [least, most] = std::ranges::minmax(load.share_E);
  load.max_over_mean = most * static_cast<double>(load.experts);
  load.min_over_mean = least * static_cast<double>(load.experts);
  load.dropped_share = static_cast<double>(counts.dropped) / routes;
  return load;
}

std::int64_t ExpertLoadReport::dead_experts() const {
  std::int64_t dead = 0;
  for (const ExpertLoad& layer : layers_) dead += layer.dead_experts;
  return dead;
}

double ExpertLoadReport::worst_max_over_mean() const {
  double worst = 0;
  for (const ExpertLoad& layer : layers_) worst = std::max(worst, layer.max_over_mean);
  return worst;
}

double ExpertLoadReport::dropped_share() const {
  if (layers_.empty()) return 0;
  double sum = 0;
  for (const ExpertLoad& layer : layers_) sum += layer.dropped_share;
  return sum / static_cast<double>(layers_.size());
}

namespace {

constexpr std::size_t kSharesPerLine = 16;
constexpr const char* kHeading =
    "layer  load max/mean  min/mean  dropped  entropy  of max  dead  routes per expert, %\n";
constexpr std::size_t kSharesColumn = 63;  // where the last heading starts

std::string shares(const ExpertLoad& layer) {
  std::string text;
  for (std::size_t e = 0; e < layer.share_E.size(); ++e) {
    if (e > 0 && e % kSharesPerLine == 0) text += "\n" + std::string(kSharesColumn, ' ');
    text += format("{:>5.1f}", 100 * layer.share_E[e]);
  }
  return text;
}

}  // namespace

std::string ExpertLoadReport::table() const {
  if (layers_.empty()) return "No layer has experts.\n";
  std::string text = kHeading;
  for (const ExpertLoad& layer : layers_) {
    text += format("{:>5}  {:>13.2f}  {:>8.2f}  {:>6.2f}%  {:>7.3f}  {:>6.2f}  {:>4}  {}\n",
                   layer.layer, layer.max_over_mean, layer.min_over_mean,
                   100 * layer.dropped_share, layer.entropy, layer.entropy_share,
                   layer.dead_experts, shares(layer));
  }
  return text;
}

namespace {

std::string layer_json(const ExpertLoad& layer) {
  std::string text = format(
      R"({{"layer": {}, "experts": {}, "tokens": {}, "load_max_over_mean": {}, )"
      R"("load_min_over_mean": {}, "dropped_share": {}, "entropy": {}, "entropy_share": {}, )"
      R"("dead_experts": {}, "share": [)",
      layer.layer, layer.experts, layer.tokens, json_number(layer.max_over_mean),
      json_number(layer.min_over_mean), json_number(layer.dropped_share),
      json_number(layer.entropy), json_number(layer.entropy_share), layer.dead_experts);
  for (std::size_t e = 0; e < layer.share_E.size(); ++e) {
    text += (e > 0 ? ", " : "") + json_number(layer.share_E[e]);
  }
  return text + "]}";
}

}  // namespace

std::string ExpertLoadReport::json() const {
  std::string text =
      format(R"({{"dead_experts": {}, "load_max_over_mean": {}, "dropped_share": {}, "layers": [)",
             dead_experts(), json_number(worst_max_over_mean()), json_number(dropped_share()));
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    text += (i > 0 ? ", " : "") + layer_json(layers_[i]);
  }
  return text + "]}";
}

}  // namespace moe::metrics
