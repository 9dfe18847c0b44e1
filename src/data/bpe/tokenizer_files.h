/// The files of a Hugging Face tokenizer, and how they travel as one text.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/file.h"
#include "data/bpe/description.h"

namespace moe::data::bpe {

inline constexpr const char* kTokenizerFile = "tokenizer.json";

/// File name -> contents: tokenizer.json, and tokenizer_config.json and special_tokens_map.json where there are any.
using TokenizerFiles = std::map<std::string, std::string>;

/// `path`: a tokenizer.json, whose neighbours come along; or another file, alone.
/// @throws DataError(path, reason); also for files larger than any tokenizer
TokenizerFiles read_tokenizer_files(const Path& path);

/// One JSON object, {"tokenizer.json": "...", ...}: the model file of a shard.
std::string pack(const TokenizerFiles& files);
/// Takes what `pack` made, or a tokenizer.json as it is. @throws DataError(origin, reason)
TokenizerFiles unpack(const std::string& model, const std::string& origin);

/// Adds a tokenizer_config.json where there is none, so that transformers takes tokenizer.json as it is
/// and knows what ends a text.
void complete(TokenizerFiles& files, const std::string& eos_token);

/// The token that ends documents: `eos_token` of tokenizer_config.json or special_tokens_map.json, else
/// an added token that is known to.
/// @throws DataError when there is none, or the vocabulary lacks it
std::int32_t end_of_document(const TokenizerFiles& files, const Description& description,
                             const std::string& origin);

}  // namespace moe::data::bpe
