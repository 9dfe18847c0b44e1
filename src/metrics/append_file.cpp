#include "metrics/append_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/format.h"

namespace moe::metrics {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{64} << 10;

[[noreturn]] void fail(const Path& path, const char* action) {
  const int reason = errno;
  throw DataError(format("{}: cannot {}: {}", path.string(), action, std::strerror(reason)));
}

}  // namespace

AppendFile::AppendFile(const Path& path, Mode mode)
    : path_(path),
      descriptor_(::open(path.c_str(),
                         O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC |
                             (mode == Mode::CreateNew ? O_EXCL : 0),
                         0666)) {
  if (descriptor_ < 0) fail(path, "open for writing");
}

AppendFile::~AppendFile() {
  if (descriptor_ < 0) return;
  try {
    flush();
  } catch (const Error&) {
    // A destructor cannot report; callers who care call close().
  }
  ::close(descriptor_);
}

void AppendFile::append(std::string_view bytes) {
  buffer_ += bytes;
  if (buffer_.size() >= kBufferBytes) flush();
}

void AppendFile::flush() {
  // Taken out first: after a failure the same bytes are not written twice.
  const std::string pending = std::exchange(buffer_, {});
  for (std::size_t done = 0; done < pending.size();) {
    const ssize_t written = ::write(descriptor_, pending.data() + done, pending.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(path_, "write");
    done += static_cast<std::size_t>(written);
  }
}

void AppendFile::close() {
  if (descriptor_ < 0) return;
  flush();
  if (::close(std::exchange(descriptor_, -1)) != 0) fail(path_, "close");
}

}  // namespace moe::metrics
