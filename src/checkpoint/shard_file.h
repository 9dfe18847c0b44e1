/// Reading: one committed HDF5 shard, opened only after its digest was found right, and trusted no
/// more than needed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "tensor/view.h"

namespace moe::checkpoint {

/// What the manifest says a shard holds.
struct ExpectedDataset {
  std::string name;
  DType dtype;
  std::int64_t count;
};

/// @thread reads lock HDF5; one object may be shared
class ShardFile {
 public:
  /// Opens read-only and compares links, types, sizes, layout, filters and attributes with
  /// `expected`.
  /// @throws CheckpointError(path, dataset, expected and found); nothing was read then
  ShardFile(const Path& path, const std::vector<ExpectedDataset>& expected);
  ~ShardFile();
  ShardFile(ShardFile&&) noexcept;

  /// Elements [begin, begin + out.numel()) of a dataset, unconverted.
  /// @throws CheckpointError(path, dataset, reason), also when a checksum does not fit
  void read(const std::string& dataset, std::int64_t begin, const View& out) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Elements of one chunk: reads that start on a multiple never decode a chunk twice.
std::int64_t shard_chunk_elements(DType dtype);

}  // namespace moe::checkpoint
