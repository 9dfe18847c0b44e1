#include "data/token_stream.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/check.h"

namespace moe::data {

TokenStream::TokenStream(std::shared_ptr<const TokenShard> shard, std::int64_t begin,
                         std::int64_t end, const PackingOptions& options)
    : shard_(std::move(shard)), begin_(begin), end_(end), options_(options) {
  MOE_CHECK(0 <= begin && begin < end && end <= shard_->tokens());
}

void TokenStream::load(std::int64_t at, std::span<std::int32_t> out) const {
  shard_->read(begin_ + at, out);
  shard_->require_below(out, begin_ + at, options_.vocab_size);
}

void TokenStream::read_ring(std::int64_t at, const SequenceView& out) const {
  const auto length = static_cast<std::int64_t>(out.tokens.size());
  out.starts.assign(1, 0);
  // Targets are token at + 1 onwards; the ring is walked in stretches that do not wrap.
  for (std::int64_t done = 0; done < length;) {
    const std::int64_t from = (at + 1 + done) % tokens();
    const std::int64_t count = std::min(length - done, tokens() - from);
    load(from, out.targets.subspan(static_cast<std::size_t>(done), static_cast<std::size_t>(count)));
    done += count;
  }
  load(at, out.tokens.first(1));
  std::copy(out.targets.begin(), out.targets.end() - 1, out.tokens.begin() + 1);
  if (options_.document_mask) {
    for (std::int64_t done = 0; done < length;) {
      const std::int64_t from = (at + 1 + done) % tokens();
      const std::int64_t count = std::min(length - done, tokens() - from);
      mark_documents({from, count, false}, done, out);
      done += count;
    }
  }
  finish(out);
}

void TokenStream::read_window(std::int64_t window, const SequenceView& out) const {
  const auto length = static_cast<std::int64_t>(out.tokens.size());
  const std::int64_t first = window * length;
  const std::int64_t count = std::min(length, tokens() - first);
  MOE_CHECK(window >= 0 && count > 0);
  const std::int32_t filler = std::max(options_.eod, 0);
  out.starts.assign(1, 0);
  const auto real = out.targets.first(static_cast<std::size_t>(count));
  load(first, real);
  if (first == 0) {
    out.tokens[0] = filler;
  } else {
    load(first - 1, out.tokens.first(1));
  }
  std::copy(real.begin(), real.end() - 1, out.tokens.begin() + 1);
  std::fill(out.tokens.begin() + count, out.tokens.end(), filler);
  std::fill(out.targets.begin() + count, out.targets.end(), kIgnoredTarget);
  if (options_.document_mask) mark_documents({first, count, true}, 0, out);
  if (count < length) out.starts.push_back(static_cast<std::int32_t>(count));
  // A window is for measuring: the end token is part of the text.
  number_positions(out);
}

void TokenStream::mark_documents(const Targets& targets, std::int64_t shift,
                                 const SequenceView& out) const {
  const std::int64_t last = targets.first + targets.count;
  // The start of the range begins a document, whether or not one does so in the shard.
  if (targets.first == 0) mark_start(shift, targets.all_count, out);
  std::vector<std::int64_t> starts;
  shard_->index().document_begins(begin_ + std::max<std::int64_t>(targets.first, 1), begin_ + last, starts);
  for (const std::int64_t start : starts) {
    mark_start(shift + start - begin_ - targets.first, targets.all_count, out);
  }
}

void TokenStream::mark_start(std::int64_t target, bool all_count, const SequenceView& out) const {
  const auto i = static_cast<std::size_t>(target);
  std::int64_t start = target;
  if (!all_count && out.tokens[i] != options_.eod) {
    out.targets[i] = kIgnoredTarget;
    start = target + 1;
  }
  const bool inside = start < static_cast<std::int64_t>(out.tokens.size());
  if (inside && out.starts.back() < start) out.starts.push_back(static_cast<std::int32_t>(start));
}

void TokenStream::finish(const SequenceView& out) const {
  if (!options_.predict_eod && options_.eod >= 0) {
    std::replace(out.targets.begin(), out.targets.end(), options_.eod, kIgnoredTarget);
  }
  number_positions(out);
}

}  // namespace moe::data
