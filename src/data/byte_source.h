/// Reads files as they are or, by their first bytes, through gzip or zstd.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"

namespace moe::data {

/// A stream of the (decompressed) bytes of one file. @thread one
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Fills the front of `out` and returns how much; 0 at the end.
  /// @throws DataError(path, byte offset in the file, reason): unreadable, damaged or truncated
  virtual std::size_t read(std::span<char> out) = 0;
  /// Bytes of the file taken so far, before decompression.
  virtual std::int64_t consumed() const = 0;
};

/// @throws DataError(path, reason): unreadable, or compressed in a way that is not supported
std::unique_ptr<ByteSource> open_bytes(const Path& path);

/// Files as given; folders are replaced by all files below them, sorted by path, without hidden ones.
/// @throws DataError(path, reason) for what does not exist or an empty folder
std::vector<Path> list_inputs(std::span<const std::string> inputs);

/// Sum of the sizes of regular files: what `consumed` adds up to.
std::int64_t total_size(std::span<const Path> files);

/// Cuts a ByteSource into lines. @thread one
class LineReader {
 public:
  /// Longer lines come in parts of `longest` bytes.
  LineReader(ByteSource& source, std::size_t longest);

  /// The next line or part of one, without its line end; false at the end.
  /// @param ended receives whether a "\n" followed
  bool next(std::string& line, bool& ended);

 private:
  bool refill();
  ByteSource& source_;
  std::size_t longest_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace moe::data
