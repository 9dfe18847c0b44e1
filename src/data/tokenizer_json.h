/// Byte-level BPE from a Hugging Face tokenizer.json: Llama 3, Qwen, GPT-2, OLMo, DeepSeek and others.
#pragma once

#include <memory>
#include <string>

#include "base/file.h"
#include "data/tokenizer.h"

namespace moe::data {

/// Ids are those of PyPI's `tokenizers` with add_special_tokens=False; see docs/formats/tokenizer_json.md for
/// what that means for bytes that are no UTF-8.
/// Its files are those it came with, and a tokenizer_config.json for transformers where there was none.
/// `model`: a tokenizer.json, or one packed with its neighbours (what Tokenizer::model gives).
/// @throws DataError(origin, key, expected, found): malformed, hostile, or a feature that is not supported
std::shared_ptr<const Tokenizer> make_json_tokenizer(const std::string& model,
                                                     const std::string& origin);

/// From the file itself; tokenizer_config.json and special_tokens_map.json beside a tokenizer.json come along.
/// @throws DataError as above
std::shared_ptr<const Tokenizer> load_json_tokenizer(const Path& path);

}  // namespace moe::data
