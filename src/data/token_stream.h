/// A range of a token shard, cut into sequences that know their documents.
#pragma once

#include <cstdint>
#include <memory>

#include "data/sample.h"
#include "data/token_shard.h"

namespace moe::data {

struct PackingOptions {
  std::int64_t vocab_size = 0;  ///< tokens must be below
  std::int32_t eod = -1;        ///< token that ends documents; -1: they end without one
  bool document_mask = true;
  bool predict_eod = true;
};

/// Tokens [begin, end) of a shard. Documents are packed back to back. The token that ends a document
/// is the target of its last token, and then opens the next document as an input: so every token is
/// predicted from its own document alone, its first from the end token. Where a document ends without
/// one, the first token of the next cannot be predicted and its target is ignored.
/// @thread any
class TokenStream {
 public:
  TokenStream(std::shared_ptr<const TokenShard> shard, std::int64_t begin, std::int64_t end,
              const PackingOptions& options);

  std::int64_t tokens() const { return end_ - begin_; }
  const TokenShard& shard() const { return *shard_; }
  std::int64_t begin() const { return begin_; }
  std::int64_t end() const { return end_; }

  /// The S + 1 tokens from `at`, 0 <= at < tokens(), as on a ring: the first follows the last.
  void read_ring(std::int64_t at, const SequenceView& out) const;

  /// Window `w` of a tiling: targets are tokens [w * S, (w + 1) * S), the first token of all follows a
  /// (virtual) end token; past the end targets are ignored. Every token is a target, also a first one
  /// without an end token before it.
  void read_window(std::int64_t window, const SequenceView& out) const;

 private:
  /// Where a sequence's targets lie: target i is token `first + i` of the range.
  struct Targets {
    std::int64_t first;
    std::int64_t count;
    bool all_count;
  };
  void load(std::int64_t at, std::span<std::int32_t> out) const;
  void mark_documents(const Targets& targets, std::int64_t shift, const SequenceView& out) const;
  void mark_start(std::int64_t target, bool all_count, const SequenceView& out) const;
  void finish(const SequenceView& out) const;

  std::shared_ptr<const TokenShard> shard_;
  std::int64_t begin_;
  std::int64_t end_;
  PackingOptions options_;
};

}  // namespace moe::data
