#include "data/mixture.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "base/digest.h"
#include "base/format.h"
#include "base/random.h"

namespace moe::data {
namespace {

/// How many of a block's samples each source gives: largest remainders, at least one each.
std::vector<std::int64_t> block_counts(std::span<const double> weights, std::int64_t block) {
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<std::int64_t> counts;
  for (const double weight : weights) {
    const double share = weight / sum * static_cast<double>(block);
    counts.push_back(std::max<std::int64_t>(1, static_cast<std::int64_t>(share)));
  }
  std::int64_t left = block - std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  // The source that is furthest from its share gives or takes one, until the block is full.
  for (; left != 0; left += left > 0 ? -1 : 1) {
    std::size_t chosen = 0;
    double worst = -INFINITY;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      if (left < 0 && counts[i] == 1) continue;
      const double lack =
          weights[i] / sum * static_cast<double>(block) - static_cast<double>(counts[i]);
      const double score = left > 0 ? lack : -lack;
      if (score > worst) {
        worst = score;
        chosen = i;
      }
    }
    counts[chosen] += left > 0 ? 1 : -1;
  }
  return counts;
}

std::vector<double> weights_of(const std::vector<Mixture::Part>& parts) {
  std::vector<double> weights;
  for (const Mixture::Part& part : parts) weights.push_back(part.weight);
  return weights;
}

}  // namespace

MixtureOrder::MixtureOrder(std::span<const double> weights, std::uint64_t seed)
    : firsts_{0}, seed_(seed) {
  MOE_CHECK(!weights.empty() && static_cast<std::int64_t>(weights.size()) <= kBlock);
  for (const std::int64_t count : block_counts(weights, kBlock)) {
    firsts_.push_back(firsts_.back() + count);
  }
}

MixtureOrder::Place MixtureOrder::place(std::int64_t global_sample) const {
  if (firsts_.size() == 2) return {0, global_sample};
  const std::int64_t block = global_sample / kBlock;
  const Random random(seed_, format("data.mixture.{}", block));
  const auto slot = static_cast<std::int64_t>(
      permuted_index(static_cast<std::uint64_t>(kBlock),
                     static_cast<std::uint64_t>(global_sample % kBlock), random));
  const auto after = std::upper_bound(firsts_.begin(), firsts_.end(), slot);
  const auto source = static_cast<std::size_t>(after - firsts_.begin()) - 1;
  const std::int64_t per_block = firsts_[source + 1] - firsts_[source];
  return {static_cast<std::int64_t>(source), block * per_block + slot - firsts_[source]};
}

Mixture::Mixture(std::vector<Part> parts, std::uint64_t seed)
    : parts_(std::move(parts)), order_(weights_of(parts_), seed) {}

std::int64_t Mixture::samples_per_epoch() const {
  const std::vector<double> weights = weights_of(parts_);
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  double samples = 0;
  for (const Part& part : parts_) {
    const auto own = static_cast<double>(part.source->samples_per_epoch());
    samples = std::max(samples, own * sum / part.weight);
  }
  return static_cast<std::int64_t>(std::ceil(samples));
}

void Mixture::read(std::int64_t n, const SequenceView& out) const {
  const MixtureOrder::Place place = order_.place(n);
  parts_[static_cast<std::size_t>(place.source)].source->read(place.sample, out);
}

std::string Mixture::fingerprint() const {
  std::string text;
  for (const Part& part : parts_) {
    text += format("{} x {}\n", part.source->fingerprint(), exact_number(part.weight));
  }
  return digest_128(std::as_bytes(std::span(text)));
}

void Mixture::check_unchanged() const {
  for (const Part& part : parts_) part.source->check_unchanged();
}

}  // namespace moe::data
