#include "data/synthetic.h"

#include <algorithm>
#include <utility>

#include "base/digest.h"
#include "base/format.h"

namespace moe::data {
namespace {

double unit_interval(std::uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1.0p-53; }

}  // namespace

SyntheticLanguage::SyntheticLanguage(const SyntheticConfig& config, std::int64_t vocab_size,
                                     std::uint64_t seed)
    : config_(config), vocab_size_(vocab_size), tables_(seed, "data.synthetic.tables") {
  double sum = 0;
  for (std::int64_t rank = 1; rank <= vocab_size; ++rank) {
    cumulative_.push_back(sum += 1.0 / static_cast<double>(rank));
  }
}

std::int32_t SyntheticLanguage::zipf(std::uint64_t bits) const {
  const double drawn = unit_interval(bits) * cumulative_.back();
  const auto found = std::upper_bound(cumulative_.begin(), cumulative_.end() - 1, drawn);
  return static_cast<std::int32_t>(found - cumulative_.begin());
}

std::int32_t SyntheticLanguage::successor(std::uint64_t domain, std::int32_t token,
                                          std::uint64_t choice) const {
  const auto key = (domain * static_cast<std::uint64_t>(vocab_size_) +
                    static_cast<std::uint64_t>(token)) * 4 + choice;
  return zipf(tables_.bits(key));
}

void SyntheticLanguage::write(const Random& random, std::int64_t n, const SequenceView& out) const {
  const std::size_t length = out.tokens.size();
  // Each token uses two draws of its own, so that a sequence depends on its number alone.
  const std::uint64_t base = static_cast<std::uint64_t>(n) * (2 * length + 4);
  const std::uint64_t domain = random.below(static_cast<std::uint64_t>(config_.domains), base);
  std::int32_t token = zipf(random.bits(base + 1));
  out.tokens[0] = token;
  for (std::size_t i = 0; i < length; ++i) {
    const std::uint64_t bits = random.bits(base + 2 + 2 * i);
    if (unit_interval(bits) < config_.predictability) {
      const std::uint64_t eighth = random.bits(base + 3 + 2 * i) >> 61;
      const std::uint64_t choice = eighth < 4 ? 0 : eighth < 6 ? 1 : eighth - 4;
      token = successor(domain, token, choice);
    } else {
      token = zipf(random.bits(base + 3 + 2 * i));
    }
    out.targets[i] = token;
    if (i + 1 < length) out.tokens[i + 1] = token;
  }
  out.starts.assign(1, 0);
  number_positions(out);
}

SyntheticSource::SyntheticSource(SyntheticLanguage language, std::int64_t samples, std::uint64_t seed)
    : language_(std::move(language)), samples_(samples), seed_(seed) {}

void SyntheticSource::read(std::int64_t n, const SequenceView& out) const {
  language_.write(Random(seed_, "data.synthetic.train"), n % samples_, out);
}

std::string SyntheticSource::fingerprint() const {
  const std::string text = format("synthetic {} {} {}", language_.vocab_size(), samples_, seed_);
  return digest_128(std::as_bytes(std::span(text)));
}

SyntheticHeldOut::SyntheticHeldOut(SyntheticLanguage language, std::int64_t samples,
                                   std::int64_t sequence_length, std::uint64_t seed)
    : language_(std::move(language)),
      samples_(samples),
      sequence_length_(sequence_length),
      seed_(seed) {}

void SyntheticHeldOut::read(std::int64_t window, const SequenceView& out) const {
  language_.write(Random(seed_, "data.synthetic.held_out"), window, out);
}

}  // namespace moe::data
