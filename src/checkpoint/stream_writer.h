/// Saving from a TensorSource: a step folder written tensor by tensor, so that a model larger than
/// memory passes through.
#pragma once

#include <functional>

#include "base/file.h"
#include "checkpoint/manifest.h"
#include "checkpoint/tensor_source.h"

namespace moe::checkpoint {

struct StreamOptions {
  WindowOptions window;
  /// A shard file's payload; 0: the largest tensor's bytes, at least 64 MiB, at most 1 GiB.
  std::int64_t file_bytes = 0;
  /// Told the payload bytes that are on their way to the disk; may throw to end the save.
  std::function<void(std::int64_t bytes)> progress;
};

/// Writes `step_folder` (which must not exist): shards, attached files (name -> contents), manifest.
/// Every file is synced, the folder is too; making the folder appear at once is the caller's business.
/// @cost memory: two shard files and a window of 32 MiB; one file is written while the next is filled
/// @throws CheckpointError(path or tensor, reason); what was written so far stays
Manifest write_streamed(const TensorSource& source, Header header,
                        const std::map<std::string, std::string>& attachments,
                        const Path& step_folder, const StreamOptions& options = {});

}  // namespace moe::checkpoint
