/// `moe-data train-tokenizer`: a SentencePiece model out of a sample of text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/progress.h"
#include "data/sentencepiece_trainer.h"
#include "data/text_reader.h"

namespace moe::data {

struct TrainTokenizerOptions {
  std::vector<std::string> inputs;
  ReadOptions read;
  Path output;  ///< the .model file
  /// Text is sampled evenly down to about this much; more takes longer and gains little. @unit bytes
  std::int64_t sample_bytes = 10'000'000;
  std::uint64_t seed = 0;  ///< of the sample
  TokenizerTraining training;
};

struct TrainTokenizerResult {
  std::int64_t text_bytes = 0;    ///< of all the input
  std::int64_t sample_bytes = 0;  ///< that were trained on
  double bytes_per_token = 0;     ///< of the sample
  double seconds = 0;
};

/// @det the same text, options and seed give the same model
/// @throws DataError(path, reason); then no model was written
TrainTokenizerResult train_tokenizer(const TrainTokenizerOptions& options,
                                     const ProgressOptions& progress = {});

}  // namespace moe::data
