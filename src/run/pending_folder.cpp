#include "run/pending_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/format.h"
#include "base/log.h"
#include "checkpoint/durable.h"

namespace moe::run {
namespace {

[[noreturn]] void fail(const Path& path, const std::string& action, const std::string& reason) {
  throw CheckpointError(format("{}: cannot {}: {}", path.string(), action, reason));
}

/// An absolute path without a slash at its end, whose last part is a name.
Path plain(const Path& target) {
  Path path = std::filesystem::absolute(target).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  return path;
}

std::string temporary_prefix(const Path& target) {
  return format(".{}.tmp-", target.filename().string());
}

/// An open folder that nobody else has locked, or -1.
int lock_folder(const Path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor >= 0 && ::flock(descriptor, LOCK_EX | LOCK_NB) == 0) return descriptor;
  if (descriptor >= 0) ::close(descriptor);
  return -1;
}

void remove_leftovers(const Path& target) {
  const std::string prefix = temporary_prefix(target);
  std::vector<Path> leftovers;
  for (const auto& entry : std::filesystem::directory_iterator(target.parent_path())) {
    if (entry.path().filename().string().starts_with(prefix)) leftovers.push_back(entry.path());
  }
  for (const Path& leftover : leftovers) {
    const int lock = lock_folder(leftover);
    if (lock < 0) continue;
    log_info(format("removing what an interrupted run left: {}", leftover.string()));
    checkpoint::remove_quietly(leftover);
    ::close(lock);
  }
}

/// Deepest first.
void sync_tree(const Path& folder) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.is_directory()) sync_tree(entry.path());
  }
  sync_folder(folder);
}

}  // namespace

void require_free(const Path& target) {
  std::error_code error;
  const auto status = std::filesystem::symlink_status(target, error);
  if (!std::filesystem::exists(status)) return;
  if (std::filesystem::is_directory(status) && std::filesystem::is_empty(target, error)) return;
  throw CheckpointError(format("{}: exists already; nothing is overwritten. HINT: choose another name, "
                               "or remove it",
                               target.string()));
}

PendingFolder::PendingFolder(const Path& target) : target_(plain(target)) {
  require_free(target_);
  std::error_code error;
  std::filesystem::create_directories(target_.parent_path(), error);
  if (error) fail(target_.parent_path(), "create the folder", error.message());
  remove_leftovers(target_);
  path_ = target_.parent_path() / (temporary_prefix(target_) + checkpoint::unique_suffix());
  if (!std::filesystem::create_directory(path_, error)) {
    fail(path_, "create the folder", error.message());
  }
  lock_ = lock_folder(path_);
}

PendingFolder::~PendingFolder() {
  if (!committed_) checkpoint::remove_quietly(path_);
  if (lock_ >= 0) ::close(lock_);
}

void PendingFolder::commit() {
  sync_tree(path_);
  // An empty folder is replaced; anything else that came to be meanwhile is refused by the system.
  if (::rename(path_.c_str(), target_.c_str()) != 0) {
    fail(target_, "rename into place", std::strerror(errno));
  }
  committed_ = true;
  sync_folder(target_.parent_path());
}

}  // namespace moe::run
