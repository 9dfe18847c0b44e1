/// Training sequences and held-out windows out of token shards.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/sample_source.h"
#include "data/token_stream.h"

namespace moe::data {

struct SamplingOptions {
  std::int64_t sequence_length = 0;
  bool shuffle = true;
  std::uint64_t seed = 0;
  std::string name = "0";  ///< of this source within the run: part of the key of its order
};

/// Streams read as one source. An epoch holds floor(tokens / S) sequences of each stream (at least
/// one), in an order that a permutation keyed by (seed, name, epoch) gives; each later epoch also
/// starts its sequences at another offset, so that documents are cut elsewhere.
class TokenSource final : public SampleSource {
 public:
  TokenSource(std::vector<TokenStream> streams, SamplingOptions options);
  std::int64_t samples_per_epoch() const override { return firsts_.back(); }
  void read(std::int64_t n, const SequenceView& out) const override;
  std::string fingerprint() const override;
  void check_unchanged() const override;

 private:
  std::vector<TokenStream> streams_;
  std::vector<std::int64_t> firsts_;  // first sample of each stream, then their number
  SamplingOptions options_;
};

/// All tokens of some streams as windows of S, each stream by itself.
class TokenHeldOut final : public HeldOut {
 public:
  /// @param bytes of the text; -1 when not known
  TokenHeldOut(std::vector<TokenStream> streams, std::int64_t sequence_length, std::int64_t bytes);
  std::int64_t windows() const override { return firsts_.back(); }
  std::int64_t tokens() const override { return tokens_; }
  std::int64_t bytes() const override { return bytes_; }
  void read(std::int64_t window, const SequenceView& out) const override;

 private:
  std::vector<TokenStream> streams_;
  std::vector<std::int64_t> firsts_;
  std::int64_t tokens_ = 0;
  std::int64_t bytes_;
};

}  // namespace moe::data
