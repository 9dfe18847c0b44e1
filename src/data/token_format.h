/// The names and constants of Megatron-LM's indexed dataset; see docs/formats/token_shard.md.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/file.h"

namespace moe::data {

/// How one token is stored; the value is the format's dtype code.
enum class TokenType : std::uint8_t { I32 = 4, U16 = 8 };

constexpr std::int64_t size_of(TokenType type) { return type == TokenType::U16 ? 2 : 4; }
constexpr std::string_view to_string(TokenType type) {
  return type == TokenType::U16 ? "uint16" : "int32";
}

/// Vocabularies below this size are stored as uint16.
inline constexpr std::int64_t kWideVocabulary = 65500;
constexpr TokenType token_type_for(std::int64_t vocab_size) {
  return vocab_size < kWideVocabulary ? TokenType::U16 : TokenType::I32;
}

inline constexpr std::string_view kIndexMagic{"MMIDIDX\0\0", 9};
inline constexpr std::uint64_t kIndexVersion = 1;

/// Byte offsets of the fixed part of an .idx file.
inline constexpr std::int64_t kVersionOffset = 9;
inline constexpr std::int64_t kTypeOffset = 17;
inline constexpr std::int64_t kSequenceCountOffset = 18;
inline constexpr std::int64_t kDocumentCountOffset = 26;
inline constexpr std::int64_t kHeaderBytes = 34;

/// The files of the shard PREFIX.
struct ShardPaths {
  Path bin;        ///< PREFIX.bin: the tokens
  Path idx;        ///< PREFIX.idx: the index
  Path info;       ///< PREFIX.json: what the tokens mean
  Path tokenizer;  ///< PREFIX.model: the tokenizer's own bytes, if it has any
};
ShardPaths shard_paths(const Path& prefix);
/// `path` with `suffix` after its name, whatever dots that has.
Path with_suffix(const Path& path, const char* suffix);

}  // namespace moe::data
