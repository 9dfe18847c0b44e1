/// SentencePiece models (BPE or unigram with byte fallback), made lossless and quick.
#pragma once

#include <memory>
#include <string>

#include "data/tokenizer.h"

namespace moe::data {

/// `model` is the content of a .model file. Its normaliser is not used, as it loses bytes: for valid
/// UTF-8 without U+2581 the ids are those of the SentencePiece library with an identity normaliser
/// (unigram: up to ties between segmentations of one score); what no piece covers (invalid UTF-8,
/// U+2581, rare characters) becomes byte pieces. Runs of more than 16 KiB without a place where tokens
/// must end are cut there, so that work stays linear.
/// @throws DataError(origin, reason) for anything but a whole model with all 256 byte pieces
std::shared_ptr<const Tokenizer> make_sentencepiece_tokenizer(const std::string& model,
                                                              const std::string& origin);

}  // namespace moe::data
