/// Reads token shards: PREFIX.bin and PREFIX.idx in Megatron-LM's format, where they stand: the memory they take does not
/// grow with them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/file.h"
#include "data/shard_index.h"
#include "data/shard_info.h"
#include "data/token_format.h"

namespace moe::data {

/// @invariant a shard that was constructed has an index consistent in itself, with the size of its
///   .bin file and with PREFIX.json where that exists: no later read can leave the files
/// @thread any, after construction
class TokenShard {
 public:
  /// Opens and validates everything but the token values. @cost one pass over the index
  /// @throws DataError(path, byte offset, expected, found)
  explicit TokenShard(const Path& prefix);

  const Path& prefix() const { return prefix_; }
  TokenType type() const { return index_.type(); }
  std::int64_t tokens() const { return index_.tokens(); }
  std::int64_t sequences() const { return index_.sequences(); }
  std::int64_t documents() const { return index_.documents(); }
  /// Where the documents begin.
  const ShardIndex& index() const { return index_; }
  const std::optional<ShardInfo>& info() const { return info_; }

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
  TokenShard(const Path& prefix, ShardPaths paths, RandomAccessFile index);
  void check_info();

  Path prefix_;
  ShardPaths paths_;
  RandomAccessFile bin_;
  Stamp idx_stamp_;
  Stamp bin_stamp_;
  ShardIndex index_;
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
