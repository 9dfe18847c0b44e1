/// What a tokenizer.json says.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/bpe/added_tokens.h"
#include "data/bpe/merges.h"
#include "data/bpe/pre_tokenizer.h"

namespace moe::data::bpe {

/// Ids are below this, in any vocabulary.
inline constexpr std::int32_t kLargestVocabulary = 1 << 22;

struct Vocabulary {
  std::unordered_map<std::string, std::int32_t> ids;  ///< as written in the file
  std::vector<std::string> bytes;                     ///< by id: what a token stands for
  std::array<std::int32_t, 256> byte_ids{};           ///< the tokens of single bytes
  std::vector<Merge> merges;                          ///< by rank
  bool ignore_merges = false;                         ///< a word that is a token is that token
};

struct Description {
  Vocabulary vocabulary;
  std::vector<AddedToken> added;
  PreTokenizer::Steps steps;
  bool nfc = false;

  /// The id of a token of either kind.
  std::optional<std::int32_t> find(const std::string& content) const;
};

/// `origin` names the file in errors.
/// @throws DataError(origin, key, expected, found): no JSON, not byte-level BPE, a feature that is not supported,
///   bytes without tokens, merges of unknown tokens, ids that are out of range or used twice
Description read_description(const std::string& text, const std::string& origin);

}  // namespace moe::data::bpe
