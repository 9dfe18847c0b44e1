/// The tokenizer's files inside checkpoints.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/file.h"
#include "checkpoint/checkpoint.h"
#include "data/tokenizer.h"

namespace moe::run {

/// Writes the tokenizer's files into `<folder>/tokenizer` and names them for attaching.
std::map<std::string, Path> save_tokenizer_files(const data::Tokenizer& tokenizer,
                                                 const Path& folder);

/// The tokenizer a checkpoint carries, or null.
std::shared_ptr<const data::Tokenizer> tokenizer_of(const checkpoint::Checkpoint& checkpoint);

}  // namespace moe::run
