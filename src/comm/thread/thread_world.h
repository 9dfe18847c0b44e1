/// Ranks that are threads of this process.
#pragma once

#include <memory>
#include <string>

#include "comm/group.h"

namespace moe::comm {

/// @thread `group` and `abort` from any thread; a group belongs to the thread of its rank
class ThreadWorld {
 public:
  explicit ThreadWorld(int ranks, double timeout_seconds = 60);
  ~ThreadWorld();
  ThreadWorld(const ThreadWorld&) = delete;
  ThreadWorld& operator=(const ThreadWorld&) = delete;

  int size() const;
  /// The world as rank `rank` sees it; ask once per rank. It may outlive this object.
  std::unique_ptr<Group> group(int rank);
  /// Every wait in this world and in the groups split from it, now or later, throws CommError.
  void abort(const std::string& reason);

  struct Members;

 private:
  std::shared_ptr<Members> members_;
};

}  // namespace moe::comm
