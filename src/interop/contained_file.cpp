#include "interop/contained_file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/format.h"

namespace moe::interop {
namespace {

// Not blocking: a named pipe in place of a file must not hang the program.
constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

[[noreturn]] void fail(const Path& path, const std::string& reason) {
  throw CheckpointError(format("{}: {}", path.string(), reason));
}

/// Links may point to other files of the folder, never out of it.
int open_beneath(int folder, const std::string& name) {
  open_how how{};
  how.flags = kFlags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  const long opened = ::syscall(SYS_openat2, folder, name.c_str(), &how, sizeof how);
  if (opened >= 0 || (errno != ENOSYS && errno != EPERM)) return static_cast<int>(opened);
  return ::openat(folder, name.c_str(), kFlags | O_NOFOLLOW);  // an old kernel: no links at all
}

std::string reason_not_opened(int error) {
  if (error == EXDEV || error == ELOOP) {
    return "is a link that leads out of its folder; if you trust it (Hugging Face's "
           "cache is made of such links), allow links with --follow-links (follow_links)";
  }
  return format("cannot open: {}", std::strerror(error));
}

}  // namespace

bool is_plain_name(std::string_view name) {
  if (name.empty() || name.size() > 255 || name == "." || name == "..") return false;
  return std::ranges::none_of(name, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f || c == '/' || c == '\\';
  });
}

ContainedFile::ContainedFile(const Path& path)
    : ContainedFile(path, ::open(path.c_str(), kFlags)) {}

ContainedFile::ContainedFile(Path path, int descriptor)
    : path_(std::move(path)), descriptor_(descriptor) {
  if (descriptor_ < 0) fail(path_, reason_not_opened(errno));
  struct stat status {};
  const bool good = ::fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode);
  if (!good) {
    ::close(descriptor_);
    fail(path_, "expected a regular file");
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
}

ContainedFile::~ContainedFile() {
  ::close(descriptor_);
}

void ContainedFile::read(std::uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t got = ::pread(descriptor_, out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(path_, format("cannot read at byte {}: {}", offset, std::strerror(errno)));
    if (got == 0) {
      fail(path_, format("ended at byte {}, expected {} more: was it cut short while in use?",
                         offset, out.size()));
    }
    offset += static_cast<std::uint64_t>(got);
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

std::string ContainedFile::text(std::uint64_t limit_bytes) const {
  if (size_ > limit_bytes) {
    fail(path_, format("expected at most {} bytes, found {}", limit_bytes, size_));
  }
  std::string contents(static_cast<std::size_t>(size_), '\0');
  read(0, std::as_writable_bytes(std::span(contents)));
  return contents;
}

ContainedFolder::ContainedFolder(Path path, bool follow_links)
    : path_(std::move(path)),
      follow_links_(follow_links),
      descriptor_(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (descriptor_ < 0) fail(path_, format("cannot open the folder: {}", std::strerror(errno)));
}

ContainedFolder::~ContainedFolder() {
  ::close(descriptor_);
}

bool ContainedFolder::contains(const std::string& name) const {
  struct stat status {};
  return is_plain_name(name) &&
         ::fstatat(descriptor_, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
}

std::shared_ptr<const ContainedFile> ContainedFolder::open(const std::string& name) const {
  if (!is_plain_name(name)) {
    fail(path_, format("'{}' is not a plain file name", name.substr(0, 255)));
  }
  const int opened =
      follow_links_ ? ::openat(descriptor_, name.c_str(), kFlags) : open_beneath(descriptor_, name);
  return std::make_shared<const ContainedFile>(path_ / name, opened);
}

}  // namespace moe::interop
