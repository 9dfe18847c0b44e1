#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/format.h"

namespace moe {
namespace {

// Non-blocking: opening a pipe must end in "expected a regular file", not wait for a writer.
constexpr int kReadFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;

[[noreturn]] void fail(const Path& path, const char* action) {
  throw DataError(format("{}: cannot {}: {}", path.string(), action, std::strerror(errno)));
}

class Descriptor {
 public:
  Descriptor(const Path& path, int flags, int mode = 0) : fd_(::open(path.c_str(), flags, mode)) {
    if (fd_ < 0) fail(path, (flags & O_CREAT) != 0 ? "create" : "open");
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  void close(const Path& path) {
    if (::close(std::exchange(fd_, -1)) != 0) fail(path, "close");
  }

 private:
  int fd_;
};

std::uint64_t regular_file_size(const Path& path, int descriptor) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) fail(path, "inspect");
  if (!S_ISREG(status.st_mode)) {
    throw DataError(format("{}: expected a regular file", path.string()));
  }
  return static_cast<std::uint64_t>(status.st_size);
}

void write_all(const Path& path, int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      fail(path, "write");
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

std::string read_file(const Path& path, std::uint64_t limit_bytes) {
  const Descriptor file(path, kReadFlags);
  const std::uint64_t size = regular_file_size(path, file.get());
  if (size > limit_bytes) {
    throw DataError(format("{}: expected at most {} bytes, found {}", path.string(), limit_bytes,
                           size));
  }
  std::string contents(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::read(file.get(), contents.data() + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(path, "read");
    if (got == 0) {
      throw DataError(format("{}: ended at byte {}, expected {}", path.string(), done, size));
    }
    done += static_cast<std::size_t>(got);
  }
  return contents;
}

void write_file_atomically(const Path& path, std::string_view contents) {
  Path temporary = path;
  temporary += format(".tmp-{}-{}", ::getpid(), ::gettid());  // a rank may be a thread
  try {
    Descriptor file(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    write_all(temporary, file.get(), contents);
    if (::fsync(file.get()) != 0) fail(temporary, "sync");
    file.close(temporary);
    if (::rename(temporary.c_str(), path.c_str()) != 0) fail(path, "rename into place");
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  sync_folder(path.has_parent_path() ? path.parent_path() : Path("."));
}

void sync_folder(const Path& folder) {
  const Descriptor directory(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (::fsync(directory.get()) != 0 && errno != EINVAL) fail(folder, "sync");
}

MappedFile::MappedFile(const Path& path) : path_(path) {
  const Descriptor file(path, kReadFlags);
  size_ = regular_file_size(path, file.get());
  if (size_ == 0) return;
  void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.get(), 0);
  if (mapped == MAP_FAILED) fail(path, "map");
  data_ = static_cast<const std::byte*>(mapped);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

namespace {
constexpr std::size_t kBufferBytes = std::size_t{1} << 20;
}

namespace {

bool raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return false;
  limit.rlim_cur = limit.rlim_max;
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

}  // namespace

RandomAccessFile::RandomAccessFile(const Path& path) : path_(path) {
  descriptor_ = ::open(path.c_str(), kReadFlags);
  if (descriptor_ < 0 && errno == EMFILE && raise_file_limit()) {
    descriptor_ = ::open(path.c_str(), kReadFlags);
  }
  if (descriptor_ < 0) fail(path, "open");
  try {
    size_ = regular_file_size(path, descriptor_);
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

RandomAccessFile::~RandomAccessFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

RandomAccessFile::RandomAccessFile(RandomAccessFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_) {}

RandomAccessFile& RandomAccessFile::operator=(RandomAccessFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(size_, other.size_);
  return *this;
}

void RandomAccessFile::read(std::uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t got = ::pread(descriptor_, out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(path_, "read");
    if (got == 0) {
      throw DataError(format("{}: ended at byte {}, expected {} more bytes", path_.string(), offset, out.size()));
    }
    offset += static_cast<std::uint64_t>(got);
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

FileWriter::FileWriter(const Path& path)
    : path_(path), descriptor_(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) {
  if (descriptor_ < 0) fail(path, "create");
  buffer_.reserve(kBufferBytes);
}

FileWriter::~FileWriter() {
  if (descriptor_ < 0) return;
  try {
    flush();
  } catch (const Error&) {
    // A destructor cannot report; callers who care call finish().
  }
  ::close(descriptor_);
}

void FileWriter::write(std::span<const std::byte> bytes) {
  size_ += bytes.size();
  if (buffer_.size() + bytes.size() > kBufferBytes) flush();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (bytes.size() >= kBufferBytes) {
    write_all(path_, descriptor_, text);
  } else {
    buffer_.append(text);
  }
}

void FileWriter::flush() {
  write_all(path_, descriptor_, buffer_);
  buffer_.clear();
}

void FileWriter::start_writeback() {
  flush();
  // Advice only: where it is not supported, finish() has more to do.
  (void)::sync_file_range(descriptor_, 0, 0, SYNC_FILE_RANGE_WRITE);
}

void FileWriter::finish() {
  flush();
  if (::fsync(descriptor_) != 0) fail(path_, "sync");
  if (::close(std::exchange(descriptor_, -1)) != 0) fail(path_, "close");
}

}  // namespace moe
