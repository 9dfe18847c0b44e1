/// A column of numbers that is written while its length is not known, and read back in order.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/file.h"

namespace moe::data {

/// @invariant the numbers stand in a temporary file, which goes with the column: memory does not grow with them
/// @thread one
template <class T>
class SpilledColumn {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  /// @throws DataError(path, reason)
  explicit SpilledColumn(Path temporary)
      : path_(std::move(temporary)), writer_(std::make_unique<FileWriter>(path_)) {}
  ~SpilledColumn() {
    writer_.reset();
    ::unlink(path_.c_str());
  }
  SpilledColumn(const SpilledColumn&) = delete;
  SpilledColumn& operator=(const SpilledColumn&) = delete;

  /// Before the first read only. @throws DataError(path, reason)
  void push_back(T value) {
    MOE_CHECK(writer_ != nullptr);
    writer_->write(std::as_bytes(std::span(&value, 1)));
    ++size_;
  }
  std::int64_t size() const { return size_; }

  /// Calls `take(std::span<const T>)` with all numbers in order, a block at a time.
  /// @throws DataError(path, reason)
  template <class Take>
  void for_each_block(Take&& take) {
    if (writer_) {
      writer_->finish();
      writer_.reset();
    }
    const RandomAccessFile file(path_);
    std::vector<T> block(kBlock);
    for (std::int64_t at = 0; at < size_; at += kBlock) {
      const auto part = std::span(block).first(static_cast<std::size_t>(std::min(kBlock, size_ - at)));
      file.read(static_cast<std::uint64_t>(at) * sizeof(T), std::as_writable_bytes(part));
      take(std::span<const T>(part));
    }
  }

 private:
  static constexpr std::int64_t kBlock = 8192;
  Path path_;
  std::unique_ptr<FileWriter> writer_;
  std::int64_t size_ = 0;
};

}  // namespace moe::data
