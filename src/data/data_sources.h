/// The registry of `data.source`: from a config to what training and evaluation read.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "config/registry.h"
#include "data/data_config.h"
#include "data/sample_source.h"
#include "data/tokenizer.h"

namespace moe::data {

/// What the rest of the run fixes.
struct DataContext {
  std::uint64_t seed = 0;
  std::int64_t sequence_length = 0;
  std::int64_t vocab_size = 0;  ///< of the model: every token is below it
};

struct DataSet {
  std::shared_ptr<const SampleSource> train;
  std::shared_ptr<const HeldOut> held_out;         ///< null when nothing is held out
  std::shared_ptr<const Tokenizer> tokenizer;      ///< null when not known (synthetic, foreign shards)
};

/// Opens what `config` names. `train` may be left null only by a program that does not train.
/// @throws DataError(path, ...) for files; ConfigError naming the key for what does not fit
DataSet open_data(const DataConfig& config, const DataContext& context);

/// Only the held-out text of some shards, for evaluation of a checkpoint.
std::shared_ptr<const HeldOut> open_held_out(const std::vector<std::string>& prefixes,
                                             const DataConfig& config, const DataContext& context);

using OpenData = DataSet (*)(const DataConfig&, const DataContext&);
/// The table: "tokens", "synthetic".
const config::Registry<OpenData>& data_sources();

}  // namespace moe::data
