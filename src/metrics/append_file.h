/// A file that only grows, for logs that must survive the process.
#pragma once

#include <string>
#include <string_view>

#include "base/file.h"

namespace moe::metrics {

class AppendFile {
 public:
  enum class Mode { Extend, CreateNew };
  /// Extend: opened at its end, made if absent. CreateNew: must not exist.
  /// @throws DataError(path, reason)
  AppendFile(const Path& path, Mode mode);
  ~AppendFile();  // writes out what is buffered, quietly
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  /// Buffered. @throws DataError(path, reason)
  void append(std::string_view bytes);
  /// Hands the buffer to the system: it survives a crash of this process.
  void flush();
  /// Flushes and closes; idempotent.
  void close();

 private:
  Path path_;
  int descriptor_;
  std::string buffer_;
};

}  // namespace moe::metrics
