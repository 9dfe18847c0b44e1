/// The index of a token shard, PREFIX.idx in Megatron-LM's format, read where it stands.
#pragma once

#include <cstdint>
#include <vector>

#include "base/file.h"
#include "data/token_format.h"

namespace moe::data {

/// @invariant an index that was constructed is consistent in itself and with the size of its .bin file; where the file
///   changes later, what it says is refused or lies within the tokens
/// @cost at most 128 KiB of memory, however many documents there are; blocks of 4 KiB are read when asked for
/// @thread any, after construction
class ShardIndex {
 public:
  /// Validates everything. @cost one pass over the file
  /// @throws DataError(path, byte offset, expected, found)
  ShardIndex(RandomAccessFile index, const RandomAccessFile& bin);

  TokenType type() const { return type_; }
  std::int64_t tokens() const { return tokens_; }
  std::int64_t sequences() const { return sequences_; }
  std::int64_t documents() const { return documents_; }

  /// Token offset of the first token of document `d`; of `documents()`: the number of tokens.
  /// @throws DataError(path, byte offset, expected, found)
  std::int64_t document_begin(std::int64_t document) const;
  /// The last document that begins at or before token `at`, 0 <= at < tokens(). @cost O(log documents)
  /// @throws DataError(path, byte offset, expected, found)
  std::int64_t document_of(std::int64_t at) const;
  /// The first tokens of the documents that begin in [begin, end), ascending; empty documents at the end of the shard
  /// begin at `tokens()`.
  /// @throws DataError(path, byte offset, expected, found)
  void document_begins(std::int64_t begin, std::int64_t end, std::vector<std::int64_t>& out) const;

 private:
  class Begins;
  template <class T>
  T header_field(std::int64_t offset) const;
  void read_header();
  void check_sequences(const RandomAccessFile& bin);
  void check_documents() const;
  void choose_landmarks();
  std::int64_t document_of(Begins& begins, std::int64_t at) const;
  std::int64_t pointers_at() const { return kHeaderBytes + 4 * sequences_; }
  std::int64_t documents_at() const { return kHeaderBytes + 12 * sequences_; }

  RandomAccessFile file_;
  TokenType type_ = TokenType::U16;
  std::int64_t sequences_ = 0;
  std::int64_t documents_ = 0;
  std::int64_t tokens_ = 0;
  // Where every `stride_`-th document begins: a search reads one or two blocks.
  std::int64_t stride_ = 1;
  std::vector<std::int64_t> landmarks_;
};

}  // namespace moe::data
