/// `moe-data split`: keeps the end of every text out of training.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/file.h"

namespace moe::data {

struct SplitOptions {
  std::vector<std::string> inputs;  ///< files and folders; gzip and zstd are decompressed
  Path train;                       ///< all beginnings, joined
  Path held_out;                    ///< all ends, joined
  double fraction = 0.03;           ///< of each source
  std::int64_t min_bytes = 1'000'000;  ///< of all ends together; the fraction grows to reach it
};

struct SplitResult {
  std::int64_t sources = 0;
  std::int64_t train_bytes = 0;
  std::int64_t held_out_bytes = 0;
};

/// Cuts each source once, after a line end where there is one in the last MiB before the cut, else
/// between characters. JSONL is cut between lines only. @cost two passes over the input
/// @throws DataError(path, reason); then neither output was touched
SplitResult split_text(const SplitOptions& options);

}  // namespace moe::data
