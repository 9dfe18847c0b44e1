/// Private to this folder: HDF5 with every return checked and every handle closed.
#pragma once

#include <hdf5.h>

#include <string>
#include <utility>

#include "base/error.h"
#include "tensor/dtype.h"

namespace moe::checkpoint {

/// An HDF5 identifier and how to close it.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);
  Handle() = default;
  Handle(hid_t id, Close close) : id_(id), close_(close) {}
  ~Handle() { reset(); }
  Handle(Handle&& other) noexcept
      : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  hid_t get() const { return id_; }
  /// Closes and says whether that went well: a file's last metadata is written here.
  bool reset() {
    const hid_t id = std::exchange(id_, H5I_INVALID_HID);
    return id < 0 || close_(id) >= 0;
  }

 private:
  hid_t id_ = H5I_INVALID_HID;
  Close close_ = nullptr;
};

/// Once per process: no exit handler (it crashes after a failed write), no plugins from disk. On
/// each thread: errors are collected, not printed. Call before anything else of HDF5.
void prepare_hdf5();

/// @throws CheckpointError "<where>: cannot <action>: <the innermost HDF5 error>"
[[noreturn]] void throw_hdf5(const std::string& where, const std::string& action);

inline void require_hdf5(bool good, const std::string& where, const std::string& action) {
  if (!good) throw_hdf5(where, action);
}

inline Handle checked(hid_t id, Handle::Close close, const std::string& where,
                      const std::string& action) {
  require_hdf5(id >= 0, where, action);
  return {id, close};
}

/// The type on disk, little-endian; 16-bit floats are described bit by bit, so that h5py reads
/// them.
Handle hdf5_type(DType dtype);
/// File access for both ends: latest format only, so that metadata carries checksums.
Handle latest_format_access();
/// Elements of one chunk of a dataset of `count` elements.
hsize_t chunk_elements(DType dtype, hsize_t count);

/// The attribute that every dataset has, and the only one.
inline constexpr const char* kDTypeAttribute = "dtype";

}  // namespace moe::checkpoint
