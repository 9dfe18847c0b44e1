#include "checkpoint/durable.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "base/digest.h"
#include "base/error.h"
#include "base/format.h"
#include "base/log.h"

namespace moe::checkpoint {
namespace {

constexpr std::size_t kWriteBytes = std::size_t{16} << 20;

[[noreturn]] void fail(const Path& path, const std::string& action, int error) {
  throw CheckpointError(format("{}: cannot {}: {}", path.string(), action, std::strerror(error)));
}

/// A new file that is removed again unless it was closed well.
class NewFile {
 public:
  explicit NewFile(const Path& path)
      : path_(path), fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)) {
    if (fd_ < 0) fail(path, "create", errno);
  }
  ~NewFile() {
    if (fd_ < 0) return;
    ::close(fd_);
    ::unlink(path_.c_str());
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  void reserve(std::size_t size) {
    if (size == 0) return;
    const int error = ::posix_fallocate(fd_, 0, static_cast<off_t>(size));
    if (error != 0) fail(path_, format("reserve {} for", human_bytes(double(size))), error);
  }
  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) fail(path_, "write", written < 0 ? errno : EIO);
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }
  /// Hands the open file over; it stays.
  int release() { return std::exchange(fd_, -1); }
  void finish() {
    if (::fsync(fd_) != 0) fail(path_, "sync", errno);
    if (::close(std::exchange(fd_, -1)) != 0) {
      const int error = errno;
      ::unlink(path_.c_str());
      fail(path_, "close", error);
    }
  }

 private:
  const Path& path_;
  int fd_;
};

void tell(const Observer& observer, const std::string& event) {
  if (observer) observer(event);
}

Path parent_of(const Path& path) {
  return path.has_parent_path() ? path.parent_path() : Path(".");
}

}  // namespace

void write_durably(const Path& path, std::span<const std::byte> bytes, const Observer& observer) {
  const std::string name = path.filename().string();
  tell(observer, "create " + name);
  NewFile file(path);
  file.reserve(bytes.size());
  while (!bytes.empty()) {
    tell(observer, "write " + name);
    const std::size_t count = std::min(bytes.size(), kWriteBytes);
    file.write(bytes.first(count));
    bytes = bytes.subspan(count);
  }
  tell(observer, "sync " + name);
  file.finish();
}

UnsyncedFile::UnsyncedFile(const Path& path, std::span<const std::byte> bytes) : path_(path) {
  NewFile file(path_);
  file.reserve(bytes.size());
  file.write(bytes);
  fd_ = file.release();
  // Advice only: where it is not supported, sync() has more to do.
  (void)::sync_file_range(fd_, 0, 0, SYNC_FILE_RANGE_WRITE);
}

UnsyncedFile::UnsyncedFile(UnsyncedFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

UnsyncedFile::~UnsyncedFile() {
  if (fd_ >= 0) ::close(fd_);
}

void UnsyncedFile::sync() {
  const int fd = std::exchange(fd_, -1);
  const bool synced = ::fsync(fd) == 0;
  const int error = errno;
  const bool closed = ::close(fd) == 0;
  if (!synced) fail(path_, "sync", error);
  if (!closed) fail(path_, "close", errno);
}

CopiedFile copy_durably(const Path& from, const Path& to, const Observer& observer) {
  const MappedFile source(from);
  write_durably(to, source.bytes(), observer);
  return {static_cast<std::int64_t>(source.bytes().size()), digest_128(source.bytes())};
}

void rename_durably(const Path& from, const Path& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) {
    sync_folder(parent_of(to));
    return;
  }
  if (errno != ENOTEMPTY && errno != EEXIST) fail(to, "rename into place", errno);
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) != 0) {
    // A file system without exchange: for a moment only the old one's other name is there.
    const Path aside = to.string() + ".tmp-" + unique_suffix();
    if (::rename(to.c_str(), aside.c_str()) != 0) fail(to, "move aside", errno);
    if (::rename(from.c_str(), to.c_str()) != 0) fail(to, "rename into place", errno);
    sync_folder(parent_of(to));
    remove_quietly(aside);
    return;
  }
  sync_folder(parent_of(to));
  remove_quietly(from);
}

void remove_durably(const Path& folder) {
  const Path doomed = folder.string() + ".tmp-" + unique_suffix();
  if (::rename(folder.c_str(), doomed.c_str()) != 0) fail(folder, "remove", errno);
  remove_quietly(doomed);
}

void remove_quietly(const Path& path) noexcept {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) log_warning(format("{}: cannot remove: {}", path.string(), error.message()));
}

std::string unique_suffix() {
  std::uint64_t bits = 0;
  if (::getrandom(&bits, sizeof bits, 0) != static_cast<ssize_t>(sizeof bits)) {
    bits = static_cast<std::uint64_t>(::getpid());
  }
  return format("{:016x}", bits);
}

}  // namespace moe::checkpoint
