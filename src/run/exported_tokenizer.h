/// Our own tokenizers in the files that transformers reads.
#pragma once

#include "run/model_files.h"

namespace moe::run {

/// Adds what AutoTokenizer needs to give the same ids as the tokenizer called `name`: for "bytes" a
/// tokenizer.json, for "sentencepiece" a tokenizer_config.json that asks for no normalisation. Files that
/// are there stay as they are.
void add_tokenizer_files(const std::string& name, ModelFiles& files);

}  // namespace moe::run
