#include "data/token_source.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/digest.h"
#include "base/format.h"
#include "base/random.h"

namespace moe::data {
namespace {

/// The part of a running count that holds `index`; `firsts` ends with the total.
std::size_t part_of(const std::vector<std::int64_t>& firsts, std::int64_t index) {
  const auto after = std::upper_bound(firsts.begin(), firsts.end(), index);
  return static_cast<std::size_t>(after - firsts.begin()) - 1;
}

}  // namespace

TokenSource::TokenSource(std::vector<TokenStream> streams, SamplingOptions options)
    : streams_(std::move(streams)), firsts_{0}, options_(std::move(options)) {
  MOE_CHECK(!streams_.empty() && options_.sequence_length > 0);
  for (const TokenStream& stream : streams_) {
    const std::int64_t samples = stream.tokens() / options_.sequence_length;
    firsts_.push_back(firsts_.back() + std::max<std::int64_t>(samples, 1));
  }
}

void TokenSource::read(std::int64_t n, const SequenceView& out) const {
  MOE_CHECK(n >= 0);
  const std::int64_t epoch = n / samples_per_epoch();
  std::int64_t sample = n % samples_per_epoch();
  const std::string key = format("data.{}.epoch.{}", options_.name, epoch);
  if (options_.shuffle) {
    sample = static_cast<std::int64_t>(
        permuted_index(static_cast<std::uint64_t>(samples_per_epoch()),
                       static_cast<std::uint64_t>(sample), Random(options_.seed, key)));
  }
  const std::size_t part = part_of(firsts_, sample);
  const TokenStream& stream = streams_[part];
  std::int64_t at = (sample - firsts_[part]) * options_.sequence_length;
  if (options_.shuffle && epoch > 0) {
    const auto tokens = static_cast<std::uint64_t>(stream.tokens());
    at += static_cast<std::int64_t>(Random(options_.seed, key + ".offset").below(tokens, part));
  }
  stream.read_ring(at % stream.tokens(), out);
}

std::string TokenSource::fingerprint() const {
  std::string text = "tokens";
  for (const TokenStream& stream : streams_) {
    text += format(" {}:{}-{}", stream.shard().fingerprint(), stream.begin(), stream.end());
  }
  return digest_128(std::as_bytes(std::span(text)));
}

void TokenSource::check_unchanged() const {
  for (const TokenStream& stream : streams_) stream.shard().check_unchanged();
}

TokenHeldOut::TokenHeldOut(std::vector<TokenStream> streams, std::int64_t sequence_length,
                           std::int64_t bytes)
    : streams_(std::move(streams)), firsts_{0}, bytes_(bytes) {
  MOE_CHECK(!streams_.empty() && sequence_length > 0);
  for (const TokenStream& stream : streams_) {
    firsts_.push_back(firsts_.back() + (stream.tokens() + sequence_length - 1) / sequence_length);
    tokens_ += stream.tokens();
  }
}

void TokenHeldOut::read(std::int64_t window, const SequenceView& out) const {
  MOE_CHECK(window >= 0 && window < windows());
  const std::size_t part = part_of(firsts_, window);
  streams_[part].read_window(window - firsts_[part], out);
}

}  // namespace moe::data
