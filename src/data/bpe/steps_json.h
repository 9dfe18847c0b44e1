/// The parts of a tokenizer.json that say how text is cut: `normalizer`, `pre_tokenizer`, `post_processor`.
#pragma once

#include <optional>

#include "data/bpe/json_view.h"
#include "data/bpe/pre_tokenizer.h"

namespace moe::data::bpe {

/// True for NFC, false for none. @throws DataError for another normaliser
bool read_normalizer(const std::optional<JsonView>& normalizer);

/// @throws DataError for what ends in no ByteLevel, loses text or is not supported
PreTokenizer::Steps read_pre_tokenizer(const JsonView& pre_tokenizer);

/// Post-processors only add special tokens around a text, which documents do without; but unknown ones
/// might do more. @throws DataError for these
void check_post_processor(const std::optional<JsonView>& post_processor);

}  // namespace moe::data::bpe
