#include "run/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "base/format.h"
#include "base/random.h"

namespace moe::run {
namespace {

void require_finite(std::span<const float> logits) {
  bool any_finite = false;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i]) || logits[i] == std::numeric_limits<float>::infinity()) {
      throw NumericalError(format("logit {} is {}; the model's weights are damaged", i, logits[i]));
    }
    any_finite = any_finite || std::isfinite(logits[i]);
  }
  if (!any_finite) throw NumericalError("no logit is finite; the model's weights are damaged");
}

/// Ids from the most to the least likely, ties to the lower id; only the first `count` are in order.
std::vector<std::int32_t> most_likely(std::span<const float> logits, std::int64_t count) {
  std::vector<std::int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto better = [&](std::int32_t a, std::int32_t b) {
    const float x = logits[static_cast<std::size_t>(a)];
    const float y = logits[static_cast<std::size_t>(b)];
    return x != y ? x > y : a < b;
  };
  std::partial_sort(ids.begin(), ids.begin() + count, ids.end(), better);
  ids.resize(static_cast<std::size_t>(count));
  return ids;
}

}  // namespace

std::int32_t sample(std::span<const float> logits, const SamplingOptions& options,
                    std::int64_t position) {
  require_finite(logits);
  const auto size = static_cast<std::int64_t>(logits.size());
  if (options.temperature <= 0.0) return most_likely(logits, 1).front();
  const std::int64_t kept = options.top_k > 0 ? std::min(options.top_k, size) : size;
  const std::vector<std::int32_t> ids = most_likely(logits, kept);
  const double best = logits[static_cast<std::size_t>(ids.front())];
  std::vector<double> weights;
  for (const std::int32_t id : ids) {
    const double logit = logits[static_cast<std::size_t>(id)];
    weights.push_back(std::exp((logit - best) / options.temperature));
  }
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  double nucleus = 0.0;
  std::size_t count = 0;
  while (count < weights.size() && (count == 0 || nucleus < options.top_p * total)) {
    nucleus += weights[count++];
  }
  const double drawn =
      Random(options.seed, "sample").uniform(static_cast<std::uint64_t>(position)) * nucleus;
  double reached = 0.0;
  for (std::size_t i = 0; i < count; ++i) {
    reached += weights[i];
    if (drawn < reached) return ids[i];
  }
  return ids[count - 1];
}

}  // namespace moe::run
