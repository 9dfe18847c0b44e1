/// Loading: a committed step folder as a TensorSource. Any slice of any tensor is put together from
/// the slices that were saved, so every layout loads under every other.
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "base/file.h"
#include "checkpoint/manifest.h"
#include "checkpoint/tensor_source.h"
#include "comm/group.h"

namespace moe::checkpoint {

struct OpenOptions {
  /// Ranks that open the same checkpoint together: each verifies its share of the files, and all of
  /// them succeed or fail alike. Null: this rank alone.
  comm::Group* group = nullptr;
  /// Compare every file's digest. Without it only the manifest and the file sizes are checked.
  bool verify = true;
  /// Told the bytes verified and to verify on this rank. None: a log line now and then.
  std::function<void(std::int64_t done, std::int64_t total)> progress;
  /// Told of each shard just before HDF5 opens it.
  std::function<void(const Path& path)> on_open_shard;
};

class ShardFile;

/// @thread reads may come from several threads; they need no other rank
class Checkpoint : public TensorSource {
 public:
  /// Use open_checkpoint.
  Checkpoint(Path path, Manifest manifest, std::function<void(const Path&)> on_open_shard);
  ~Checkpoint() override;

  const Path& path() const { return path_; }
  const Manifest& manifest() const { return manifest_; }
  const Header& header() const { return manifest_.header; }
  std::int64_t step() const { return manifest_.header.step; }
  /// The JSON text of a named state. @throws CheckpointError if it was not saved
  const std::string& state(const std::string& name) const;
  /// The path of an attached file. @throws CheckpointError if it was not saved
  Path attachment(const std::string& name) const;

  std::string description() const override { return path_.string(); }
  const std::vector<std::string>& names() const override { return names_; }
  const TensorInfo* find(const std::string& name) const override;
  std::optional<std::string> metadata(const std::string& key) const override;
  std::string place_of(const std::string& name, std::int64_t element) const override;

 protected:
  void read_slice(const std::string& name, const TensorInfo& info, const Slice& slice,
                  const View& out) const override;

 private:
  std::shared_ptr<const ShardFile> shard(std::int64_t file) const;

  Path path_;
  Manifest manifest_;
  std::vector<std::string> names_;
  std::function<void(const Path&)> on_open_shard_;
  mutable std::mutex mutex_;
  mutable std::map<std::int64_t, std::shared_ptr<const ShardFile>> open_;
};

/// Opens a step folder. The manifest, the sizes and digests of all files, and the coverage of every
/// tensor are checked first; HDF5 opens a shard only when something is read from it.
/// @comm with a group: the manifest is broadcast, one vote
/// @throws CheckpointError(path, expected, found), on all ranks of the group
std::shared_ptr<Checkpoint> open_checkpoint(const Path& step_folder,
                                            const OpenOptions& options = {});

/// The manifest is intact and every file has its size; digests are not read.
bool looks_complete(const Path& step_folder);

}  // namespace moe::checkpoint
