/// `moe-data prepare`: text to token shards.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "data/shard_info.h"
#include "data/text_reader.h"

namespace moe::data {

struct PrepareOptions {
  std::vector<std::string> inputs;  ///< files and folders
  std::string tokenizer;            ///< as load_tokenizer takes it
  Path output;                      ///< prefix
  ReadOptions read;
  bool append_eod = true;
  /// Share of the documents, drawn by `seed`, that goes to PREFIX_held_out instead.
  double held_out_fraction = 0;
  std::uint64_t seed = 0;
  int threads = 0;  ///< 0: one per core
};

struct PrepareResult {
  ShardInfo train;
  std::optional<ShardInfo> held_out;
};

/// Reads, encodes on all threads and writes, in pieces: memory does not grow with the text.
/// @det the shards do not depend on the number of threads
/// @throws DataError(path, line or byte, reason); then no shard was touched
PrepareResult prepare(const PrepareOptions& options, const ProgressOptions& progress = {});

/// PREFIX_held_out.
Path held_out_prefix(const Path& prefix);

}  // namespace moe::data
