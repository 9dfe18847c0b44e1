/// The parts of a tokenizer.json that hold tokens: `model` and `added_tokens`.
#pragma once

#include <vector>

#include "data/bpe/description.h"
#include "data/bpe/json_view.h"

namespace moe::data::bpe {

/// @throws DataError as read_description
Vocabulary read_model(const JsonView& model);

/// Gives the tokens their places in `vocabulary.bytes` too. @throws DataError as read_description
std::vector<AddedToken> read_added_tokens(const JsonView& list, Vocabulary& vocabulary);

}  // namespace moe::data::bpe
