/// Reading files of a folder that somebody else packed: a name never leads out of the folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/file.h"

namespace moe::interop {

/// A regular file open for reading, by `pread`: if it is cut short while open, that is an error and
/// not a signal.
class ContainedFile {
 public:
  /// Any path the user gave. @throws CheckpointError(path, reason)
  explicit ContainedFile(const Path& path);
  ContainedFile(Path path, int descriptor);
  ~ContainedFile();
  ContainedFile(const ContainedFile&) = delete;
  ContainedFile& operator=(const ContainedFile&) = delete;

  const Path& path() const { return path_; }
  std::uint64_t size() const { return size_; }
  /// Fills `out` from byte `offset` on. @throws CheckpointError(path, offset, reason)
  void read(std::uint64_t offset, std::span<std::byte> out) const;
  /// All of it. @throws CheckpointError also when it exceeds `limit_bytes`
  std::string text(std::uint64_t limit_bytes) const;

 private:
  Path path_;
  int descriptor_;
  std::uint64_t size_ = 0;
};

/// A folder whose files are opened by plain names.
class ContainedFolder {
 public:
  /// `follow_links`: symbolic links may lead out of the folder, as in the Hugging Face cache.
  /// @throws CheckpointError(path, reason)
  ContainedFolder(Path path, bool follow_links);
  ~ContainedFolder();
  ContainedFolder(const ContainedFolder&) = delete;
  ContainedFolder& operator=(const ContainedFolder&) = delete;

  const Path& path() const { return path_; }
  bool contains(const std::string& name) const;
  /// @throws CheckpointError: a name that is not plain, a link that leaves the folder, not a
  /// regular file
  std::shared_ptr<const ContainedFile> open(const std::string& name) const;

 private:
  Path path_;
  bool follow_links_;
  int descriptor_;
};

/// No separators, no control bytes, not "." or "..", 1 to 255 bytes.
bool is_plain_name(std::string_view name);

}  // namespace moe::interop
