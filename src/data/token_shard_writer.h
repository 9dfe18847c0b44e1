/// Writes token shards in Megatron-LM's format as a stream.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "data/shard_info.h"
#include "data/spilled_column.h"
#include "data/token_format.h"

namespace moe::data {

class Tokenizer;

/// @invariant until `finish` returns the shard's own names are untouched; a writer that goes without
///   finishing leaves nothing behind
/// @cost memory does not grow with the tokens or documents; beside the tokens, 12 bytes per document stand in temporary
///   files until the index is written
/// @thread one
class TokenShardWriter {
 public:
  /// Creates the folder of `prefix` where it is missing. @throws DataError(path, reason)
  TokenShardWriter(const Path& prefix, std::int64_t vocab_size);
  ~TokenShardWriter();
  TokenShardWriter(const TokenShardWriter&) = delete;
  TokenShardWriter& operator=(const TokenShardWriter&) = delete;

  /// Adds tokens to the open document. @throws DataError(path, offset, reason)
  void append(std::span<const std::int32_t> tokens);
  /// Ends the open document; one without tokens is not recorded.
  void end_document();

  std::int64_t tokens() const { return tokens_; }
  std::int64_t documents() const { return document_ends_->size() - 1; }

  /// Ends the open document, syncs everything and renames it into place, the index last.
  /// @param text_bytes of the documents, before tokenization; `eod` -1: none was appended
  /// @throws DataError(path, reason); then an older shard of that name is whole or has no index
  ShardInfo finish(const Tokenizer& tokenizer, std::int64_t text_bytes, std::int32_t eod);
  /// The same with a description made elsewhere and no tokenizer file.
  ShardInfo finish(ShardInfo info);

 private:
  void end_sequence();
  void write_index();
  void publish(bool with_tokenizer);

  ShardPaths target_;
  ShardPaths temporary_;
  std::unique_ptr<FileWriter> bin_;
  TokenType type_;
  std::int64_t vocab_size_;
  std::int64_t tokens_ = 0;
  std::int64_t open_tokens_ = 0;  // of the open sequence
  // The index's arrays, whose lengths its header tells first.
  std::unique_ptr<SpilledColumn<std::int32_t>> lengths_;
  std::unique_ptr<SpilledColumn<std::int64_t>> document_ends_;  // in sequences; the first one is 0
  std::int64_t last_document_end_ = 0;
  std::vector<std::uint16_t> narrow_;
};

}  // namespace moe::data
