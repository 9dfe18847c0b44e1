/// Reads token shards: PREFIX.bin and PREFIX.idx in Megatron-LM's format. Tokens are read where they stand; the index is memory-mapped.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/file.h"
#include "data/shard_info.h"
#include "data/token_format.h"

namespace moe::data {

/// @invariant a shard that was constructed has an index consistent in itself, with the size of its
///   .bin file and with PREFIX.json where that exists: no later read can leave the files
/// @thread any, after construction
class TokenShard {
 public:
  /// Maps and validates everything but the token values. @cost one pass over the index
  /// @throws DataError(path, byte offset, expected, found)
  explicit TokenShard(const Path& prefix);

  const Path& prefix() const { return prefix_; }
  TokenType type() const { return type_; }
  std::int64_t tokens() const { return tokens_; }
  std::int64_t sequences() const { return sequences_; }
  std::int64_t documents() const { return documents_; }
  const std::optional<ShardInfo>& info() const { return info_; }

  /// Token offset of the first token of document `d`; of `documents()`: the number of tokens.
  std::int64_t document_begin(std::int64_t document) const;
  /// The document that holds token `at`, 0 <= at < tokens(). @cost O(log documents)
  std::int64_t document_of(std::int64_t at) const;

  /// Copies tokens [begin, begin + out.size()). @throws DataError(path, byte) where the file was cut since
  void read(std::int64_t begin, std::span<std::int32_t> out) const;
  /// @throws DataError(path, byte offset) if one of `tokens`, read at `begin`, is not in [0, vocab)
  void require_below(std::span<const std::int32_t> tokens, std::int64_t begin,
                     std::int64_t vocab_size) const;

  /// XXH3-128 of the .idx file.
  const std::string& index_digest() const { return index_digest_; }
  /// Digest of the index and of 64 blocks spread over the tokens; no path goes in.
  std::string fingerprint() const;
  /// @throws DataError if size, time or inode of a file differ from those at construction
  void check_unchanged() const;

 private:
  struct Stamp {
    std::int64_t size = 0, seconds = 0, nanoseconds = 0;
    std::uint64_t inode = 0;
    bool operator==(const Stamp&) const = default;
  };
  static Stamp stamp_of(const Path& path);
  void read_header();
  void check_sequences();
  void check_documents() const;
  void check_info();
  template <class T>
  T field(std::int64_t offset) const;
  std::int64_t pointer(std::int64_t sequence) const;
  std::int64_t sequence_of_document(std::int64_t document) const;

  Path prefix_;
  ShardPaths paths_;
  MappedFile idx_;
  RandomAccessFile bin_;
  Stamp idx_stamp_;
  Stamp bin_stamp_;
  TokenType type_ = TokenType::U16;
  std::int64_t sequences_ = 0;
  std::int64_t documents_ = 0;
  std::int64_t tokens_ = 0;
  std::string index_digest_;
  std::optional<ShardInfo> info_;
};

/// What `verify_shard` found out, for people and scripts.
struct ShardVerdict {
  std::int64_t tokens = 0;
  std::int64_t documents = 0;
  std::int32_t largest_token = -1;
  bool digests_checked = false;  ///< false: no PREFIX.json to compare with
  bool tokens_checked = false;   ///< against a vocabulary size
};

/// Reads every byte: token values against the vocabulary, digests against PREFIX.json, and the
/// tokenizer beside it. `vocab_size` 0: take it from PREFIX.json.
/// @throws DataError(path, byte offset, expected, found)
ShardVerdict verify_shard(const Path& prefix, std::int64_t vocab_size = 0);

}  // namespace moe::data
