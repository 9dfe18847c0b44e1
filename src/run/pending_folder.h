/// A folder that appears at once and complete, or not at all.
#pragma once

#include "base/file.h"

namespace moe::run {

/// What is written goes into a hidden folder beside the target, `.<name>.tmp-<id>`, which commit()
/// renames. An interrupted run leaves at most the hidden folder; the next one for the same target
/// removes it, unless its owner is still at work.
class PendingFolder {
 public:
  /// Creates missing parents. @throws CheckpointError when the target exists, unless as an empty folder
  explicit PendingFolder(const Path& target);
  /// Removes what was written, unless it was committed.
  ~PendingFolder();
  PendingFolder(const PendingFolder&) = delete;
  PendingFolder& operator=(const PendingFolder&) = delete;

  const Path& target() const { return target_; }
  /// Where to write.
  const Path& path() const { return path_; }
  /// Syncs all folders inside and renames. Files are to be synced already. @throws CheckpointError
  void commit();

 private:
  Path target_;
  Path path_;
  int lock_ = -1;
  bool committed_ = false;
};

/// Files of earlier runs are never overwritten. @throws CheckpointError
void require_free(const Path& target);

}  // namespace moe::run
