/// PREFIX.json beside a token shard: what its tokens mean, and digests that detect damage.
#pragma once

#include <cstdint>
#include <string>

#include "base/file.h"

namespace moe::data {

struct ShardInfo {
  std::string tokenizer;          ///< name in the tokenizer registry
  std::string tokenizer_digest;   ///< of the tokenizer's bytes; "" when it has none
  std::int64_t vocab_size = 0;
  std::int32_t eod = -1;          ///< token that ends each document; -1: none was appended
  std::int64_t bytes = 0;         ///< of the text, before tokenization
  std::int64_t documents = 0;
  std::int64_t tokens = 0;
  std::string bin_digest;
  std::string idx_digest;
};

/// A JSON object, one key a line.
std::string to_json(const ShardInfo& info);

/// @throws DataError(path, key, expected, found)
ShardInfo read_shard_info(const Path& path);

}  // namespace moe::data
