/// What moe-upcycle does: reads a plan, grows the source stage by stage, checks every stage, writes the result.
#pragma once

#include <atomic>
#include <iosfwd>
#include <string>
#include <vector>

#include "base/file.h"

namespace moe::run {

struct UpcycleOptions {
  Path plan;
  std::vector<std::string> overrides;  ///< "key=value"
  bool dry_run = false;                ///< reads shapes, writes nothing
  bool json = false;
  bool follow_links = false;           ///< of a Hugging Face folder
  bool progress = true;
  const std::atomic<bool>* stop = nullptr;
};

/// Tells on `out` the outline (dry run), or the table of stages and what was written.
/// @cost memory: that of writing and of evaluating the largest block, whatever the size of the model
/// @throws ConfigError (a bad plan), CheckpointError and DataError (a bad source, or a stage beyond
///   require_exact), Interrupted; nothing is left at the output then
void upcycle(const UpcycleOptions& options, std::ostream& out);

}  // namespace moe::run
