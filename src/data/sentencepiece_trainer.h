/// Trains a SentencePiece model that loses nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace moe::data {

struct TokenizerTraining {
  std::int64_t vocab_size = 8192;   ///< with 3 special and 256 byte pieces
  std::string model_type = "bpe";   ///< or "unigram": 2.4 times as long to train, no better here
  bool split_digits = true;         ///< each digit is a token of its own
  double character_coverage = 0.9999;  ///< rarer characters are left to byte pieces
};

/// Trains on blocks of text, line ends included, so that pieces may hold them. @det the same blocks give the same model on any machine: two threads always
/// @cost bpe: about 1 s a megabyte of English prose and core
/// @return the .model file  @throws DataError(reason) when the text is too small for the vocabulary
std::string train_sentencepiece(std::vector<std::string> blocks, const TokenizerTraining& options);

}  // namespace moe::data
