/// A file that appears under its name only when it is complete.
#pragma once

#include <memory>
#include <string_view>

#include "base/file.h"

namespace moe::data {

/// @invariant until `commit` returns, `path` is untouched; without it nothing is left behind
class PendingFile {
 public:
  /// Creates the folder of `path` where it is missing. @throws DataError(path, reason)
  explicit PendingFile(const Path& path);
  ~PendingFile();
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;
  void write(std::string_view text) { writer_->write(text); }
  std::uint64_t size() const { return writer_->size(); }
  /// Syncs the content and renames it into place. @throws DataError(path, reason)
  void commit();

 private:
  Path path_;
  Path temporary_;
  std::unique_ptr<FileWriter> writer_;
};

/// Creates the folder that `path` lies in. @throws DataError(folder, reason)
void create_folder_of(const Path& path);
/// @throws DataError(to, reason)
void rename_file(const Path& from, const Path& to);
/// `path` with a suffix of this process.
Path temporary_name(const Path& path);
/// The folder that `path` lies in, "." for a bare name.
Path folder_of(const Path& path);

}  // namespace moe::data
