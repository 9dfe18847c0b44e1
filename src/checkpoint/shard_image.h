/// Writing: an HDF5 file built in memory, so that a full disk is met by our own write loop, never
/// by HDF5.
#pragma once

#include <cstdlib>
#include <memory>
#include <span>
#include <string>

#include "tensor/view.h"

namespace moe::checkpoint {

/// The finished bytes of a file.
class FileImage {
 public:
  FileImage() = default;
  /// `capacity`: bytes of the memory, of which the file is the first `size`.
  FileImage(void* data, std::size_t size, std::size_t capacity)
      : data_(data), size_(size), capacity_(capacity) {}
  std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte*>(data_.get()), size_};
  }
  std::size_t capacity() const { return capacity_; }
  /// Gives the memory away, to be freed by std::free.
  void* release() { return data_.release(); }

 private:
  struct Free {
    void operator()(void* data) const { std::free(data); }
  };
  std::unique_ptr<void, Free> data_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

/// @cost memory: the image alone; it is not copied on the way to the disk
/// @thread several may be built at once; HDF5 itself runs one call at a time
class ShardImage {
 public:
  /// What a dataset takes in the image, at most: its last chunk is whole, and it has a description.
  static std::int64_t bytes_of(DType dtype, std::int64_t elements);

  /// `bytes`: of all that will be added, by bytes_of; so memory is taken once. `spent`: an image that is on the disk; its
  /// memory is used again if it is large enough.
  explicit ShardImage(std::int64_t bytes, FileImage spent = {});
  ~ShardImage();
  /// Adds a dataset of one dim, chunked, with Fletcher32 checksums and an attribute "dtype".
  /// @shape data contiguous, at least one element  @throws CheckpointError(dataset, reason)
  void add(const std::string& dataset, const View& data);
  /// Closes the HDF5 file and hands over its bytes. @throws CheckpointError
  FileImage finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// "1.10.8", for the manifest.
std::string hdf5_version();

}  // namespace moe::checkpoint
