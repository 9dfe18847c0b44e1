/// Writing safetensors: streamed from any TensorSource, byte for byte as the reference library lays
/// files out.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "checkpoint/tensor_source.h"

namespace moe::interop {

struct ExportOptions {
  /// Tensor bytes a file may hold before another is begun; one larger tensor gets a file of its
  /// own.
  std::int64_t shard_bytes = 5'000'000'000;
  /// Convert floating tensors to this on the way; none: as they are.
  std::optional<DType> dtype;
  std::map<std::string, std::string> metadata{{"format", "pt"}};
  /// Refuse NaN and infinite values, also those that converting makes.
  bool require_finite = false;
  /// Told the bytes of tensors that are on their way to the disk; may throw to end the export.
  std::function<void(std::int64_t bytes)> progress;
};

/// Writes all tensors of `source` into one file: temporary name, fsync, rename.
/// @cost memory: two windows of 8 MiB; one is written while the next is read
/// @throws DataError (disk), CheckpointError (source); nothing is left behind then
void write_safetensors(const checkpoint::TensorSource& source, const Path& file,
                       const ExportOptions& options = {});

/// Writes a Hugging Face folder's weights: `model.safetensors`, or shards and, last, their index.
/// @returns the names of the files, index included
/// @throws as above, and CheckpointError if the folder holds weights already; nothing is left
/// behind then
std::vector<std::string> write_hugging_face_weights(const checkpoint::TensorSource& source,
                                                    const Path& folder,
                                                    const ExportOptions& options = {});

}  // namespace moe::interop
