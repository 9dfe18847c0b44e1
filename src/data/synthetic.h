/// Tokens without files: a Zipf-Markov language with domains, so that there is something to learn and
/// something for experts to specialise in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/random.h"
#include "data/data_config.h"
#include "data/sample_source.h"

namespace moe::data {

/// Each sequence is in one domain. A token is, with probability `predictability`, one of four
/// successors of its predecessor in that domain (4 : 2 : 1 : 1), else drawn by Zipf's law.
class SyntheticLanguage {
 public:
  SyntheticLanguage(const SyntheticConfig& config, std::int64_t vocab_size, std::uint64_t seed);
  /// Sequence `n` of the stream `random`. @det yes
  void write(const Random& random, std::int64_t n, const SequenceView& out) const;
  std::int64_t vocab_size() const { return vocab_size_; }

 private:
  std::int32_t zipf(std::uint64_t bits) const;
  std::int32_t successor(std::uint64_t domain, std::int32_t token, std::uint64_t choice) const;

  SyntheticConfig config_;
  std::int64_t vocab_size_;
  Random tables_;
  std::vector<double> cumulative_;  // of Zipf's law
};

class SyntheticSource final : public SampleSource {
 public:
  SyntheticSource(SyntheticLanguage language, std::int64_t samples, std::uint64_t seed);
  std::int64_t samples_per_epoch() const override { return samples_; }
  void read(std::int64_t n, const SequenceView& out) const override;
  std::string fingerprint() const override;

 private:
  SyntheticLanguage language_;
  std::int64_t samples_;
  std::uint64_t seed_;
};

class SyntheticHeldOut final : public HeldOut {
 public:
  SyntheticHeldOut(SyntheticLanguage language, std::int64_t samples, std::int64_t sequence_length,
                   std::uint64_t seed);
  std::int64_t windows() const override { return samples_; }
  std::int64_t tokens() const override { return samples_ * sequence_length_; }
  std::int64_t bytes() const override { return -1; }
  void read(std::int64_t window, const SequenceView& out) const override;

 private:
  SyntheticLanguage language_;
  std::int64_t samples_;
  std::int64_t sequence_length_;
  std::uint64_t seed_;
};

}  // namespace moe::data
