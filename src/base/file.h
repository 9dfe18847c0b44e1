/// Files: checked reads and writes that name the path in every failure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace moe {

using Path = std::filesystem::path;

/// Reads a whole file. @throws DataError(path, reason); also when it exceeds `limit_bytes`
std::string read_file(const Path& path, std::uint64_t limit_bytes = UINT64_MAX);

/// Writes `contents` to a temporary file beside `path`, fsyncs it, renames it into place and fsyncs
/// the folder: a reader sees the old file or the new one, never a part.
/// @throws DataError(path, reason); then nothing is left behind
void write_file_atomically(const Path& path, std::string_view contents);

/// Makes renames inside `folder` durable.
void sync_folder(const Path& folder);

/// A read-only memory map of a whole file; empty files map to an empty span.
class MappedFile {
 public:
  /// @throws DataError(path, reason)
  explicit MappedFile(const Path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const Path& path() const { return path_; }

 private:
  Path path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// A file read in pieces. Nothing of it counts as memory of this process, and a file that is cut short while in use
/// is an error, not the end of the process.
/// @thread any
class RandomAccessFile {
 public:
  /// Where the limit on open files is reached, it is raised as far as the system allows.
  /// @throws DataError(path, reason)
  explicit RandomAccessFile(const Path& path);
  ~RandomAccessFile();
  RandomAccessFile(RandomAccessFile&& other) noexcept;
  RandomAccessFile& operator=(RandomAccessFile&& other) noexcept;
  /// Bytes when it was opened.
  std::uint64_t size() const { return size_; }
  const Path& path() const { return path_; }
  /// Fills `out` from `offset` on. @throws DataError(path, offset, reason), also past the end
  void read(std::uint64_t offset, std::span<std::byte> out) const;

 private:
  Path path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
};

/// An output file that reports every failure, including at close, and can be removed on failure.
class FileWriter {
 public:
  /// Creates or truncates. @throws DataError(path, reason)
  explicit FileWriter(const Path& path);
  ~FileWriter();  // closes; the file stays
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;
  /// Buffered append. @throws DataError(path, offset, reason)
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) {
    write({reinterpret_cast<const std::byte*>(text.data()), text.size()});
  }
  std::uint64_t size() const { return size_; }
  /// Asks the system to begin writing what it holds back, so that finish() finds little left.
  void start_writeback();
  /// Flushes, fsyncs and closes.
  void finish();

 private:
  void flush();
  Path path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
  std::string buffer_;
};

}  // namespace moe
