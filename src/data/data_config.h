/// The `data` section of a run's config.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/fields.h"

namespace moe::data {

/// One weighted part of the mixture.
struct SourceConfig {
  std::string path;    ///< prefix of a token shard
  double weight = 1;   ///< relative to the other sources' weights
  void fields(config::Fields& f);
};

/// Parameters of `source: synthetic`.
struct SyntheticConfig {
  std::int64_t domains = 8;             ///< languages that differ in their successor tables
  double predictability = 0.8;          ///< share of tokens drawn from the table of their predecessor
  std::int64_t samples = 1 << 20;       ///< sequences in an epoch
  std::int64_t validation_samples = 64; ///< held-out sequences
  void fields(config::Fields& f);
};

struct DataConfig {
  std::string source = "tokens";
  std::vector<std::string> train;
  std::vector<SourceConfig> sources;
  std::vector<std::string> validation;
  double validation_fraction = 0;
  std::string tokenizer = "auto";
  std::optional<std::int64_t> eod;
  bool document_mask = true;
  bool predict_eod = true;
  bool shuffle = true;
  std::int64_t prefetch = 2;
  SyntheticConfig synthetic;

  /// Describes the section; relations between keys are reported through `reject`.
  void fields(config::Fields& f);
};

}  // namespace moe::data
