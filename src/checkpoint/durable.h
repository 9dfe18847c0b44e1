/// Files and folders that are on the disk when the call returns, or not there at all.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string_view>

#include "base/file.h"

namespace moe::checkpoint {

/// Told what is about to happen ("write shard_00000.h5", "commit"), in order; may throw. For tests
/// that stop a save at every step, and for progress.
using Observer = std::function<void(std::string_view event)>;

/// Creates `path` (which must not exist) with these bytes: reserves the space first, writes,
/// fsyncs, closes. @throws CheckpointError(path, reason: disk full, quota, I/O error); the file is
/// removed then
void write_durably(const Path& path, std::span<const std::byte> bytes, const Observer& observer);

/// The same in two steps, for writers of many files: the constructor writes and has the system begin to
/// bring the bytes to the disk, sync() waits until they are there.
class UnsyncedFile {
 public:
  /// @throws CheckpointError as write_durably; the file is removed then
  UnsyncedFile(const Path& path, std::span<const std::byte> bytes);
  ~UnsyncedFile();
  UnsyncedFile(UnsyncedFile&& other) noexcept;
  UnsyncedFile& operator=(UnsyncedFile&&) = delete;
  /// Syncs and closes. @throws CheckpointError(path, reason)
  void sync();

 private:
  Path path_;
  int fd_ = -1;
};

/// Copies a file in the same manner; returns its size and digest.
struct CopiedFile {
  std::int64_t bytes;
  std::string digest;
};
CopiedFile copy_durably(const Path& from, const Path& to, const Observer& observer);

/// Renames `from` to `to`; an existing folder at `to` is exchanged in one step and then removed.
/// The parent is fsynced. @throws CheckpointError(path, reason)
void rename_durably(const Path& from, const Path& to);

/// Removes a folder so that it is never seen half there: renamed to a `.tmp-` name first.
void remove_durably(const Path& folder);

/// Without throwing; what cannot be removed is logged.
void remove_quietly(const Path& path) noexcept;

/// 16 hexadecimal digits that no other process uses.
std::string unique_suffix();

}  // namespace moe::checkpoint
