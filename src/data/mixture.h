/// Weighted sources as one numbered supply of sequences.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/sample_source.h"

namespace moe::data {

/// Decides which source gives global sample g, and which of its sequences. Samples come in blocks of
/// 4096; each block holds every source in proportion to its weight (to 1/4096, at least once), in an
/// order keyed by (seed, block).
/// @invariant a pure function of (weights, seed, g); each (source, sequence) is hit exactly once
class MixtureOrder {
 public:
  static constexpr std::int64_t kBlock = 4096;
  /// Weights > 0, at most kBlock of them.
  MixtureOrder(std::span<const double> weights, std::uint64_t seed);

  struct Place {
    std::int64_t source;
    std::int64_t sample;  ///< of that source
  };
  Place place(std::int64_t global_sample) const;

 private:
  std::vector<std::int64_t> firsts_;  // of each source within a block, then kBlock
  std::uint64_t seed_;
};

/// @thread any
class Mixture final : public SampleSource {
 public:
  struct Part {
    std::shared_ptr<const SampleSource> source;
    double weight = 1;
  };
  Mixture(std::vector<Part> parts, std::uint64_t seed);

  /// Samples until every source was read once, the weights being what they are.
  std::int64_t samples_per_epoch() const override;
  void read(std::int64_t n, const SequenceView& out) const override;
  std::string fingerprint() const override;
  void check_unchanged() const override;

 private:
  std::vector<Part> parts_;
  MixtureOrder order_;
};

}  // namespace moe::data
