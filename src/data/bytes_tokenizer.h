/// The tokenizer that needs no training: one token a byte.
#pragma once

#include <memory>
#include <string>

#include "data/tokenizer.h"

namespace moe::data {

/// Ids 0 to 255 are the bytes, 256 ends a document. @throws DataError if `model` is not empty
std::shared_ptr<const Tokenizer> make_bytes_tokenizer(const std::string& model,
                                                      const std::string& origin);

}  // namespace moe::data
