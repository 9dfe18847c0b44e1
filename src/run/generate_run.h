/// What moe-generate does.
#pragma once

#include <string>

#include "base/file.h"
#include "comm/world.h"
#include "run/generate.h"

namespace moe::run {

struct GenerateRunOptions {
  Path checkpoint;
  std::string prompt;
  GenerateOptions generate;
  std::string compute_dtype;
  bool json = false;
};

/// Prints prompt and continuation to standard output as they come (rank 0), or one JSON object.
/// @throws CheckpointError when the checkpoint carries no tokenizer; DataError, NumericalError
int generate_text(const GenerateRunOptions& options, comm::World& world);

}  // namespace moe::run
