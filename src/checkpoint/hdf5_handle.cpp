#include "checkpoint/hdf5_handle.h"

#include <algorithm>
#include <mutex>

#include "base/format.h"

namespace moe::checkpoint {
namespace {

constexpr hsize_t kChunkBytes = hsize_t{1} << 20;

herr_t keep_innermost(unsigned depth, const H5E_error2_t* error, void* data) {
  if (depth == 0 && error->desc != nullptr) *static_cast<std::string*>(data) = error->desc;
  return 0;
}

struct FloatLayout {
  std::size_t exponent_bits;
  std::size_t mantissa_bits;
  std::size_t bias;
};

Handle half_width_float(const FloatLayout& layout) {
  Handle type = checked(H5Tcopy(H5T_IEEE_F32LE), H5Tclose, "HDF5", "copy a type");
  const hid_t id = type.get();
  const bool good = H5Tset_fields(id, 15, layout.mantissa_bits, layout.exponent_bits, 0,
                                  layout.mantissa_bits) >= 0 &&
                    H5Tset_precision(id, 16) >= 0 && H5Tset_size(id, 2) >= 0 &&
                    H5Tset_ebias(id, layout.bias) >= 0;
  require_hdf5(good, "HDF5", "describe a 16-bit float");
  return type;
}

Handle copy_of(hid_t standard) {
  return checked(H5Tcopy(standard), H5Tclose, "HDF5", "copy a type");
}

}  // namespace

void prepare_hdf5() {
  static std::once_flag once;
  std::call_once(once, [] {
    H5dont_atexit();
    H5open();
    H5PLset_loading_state(0);
  });
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

void throw_hdf5(const std::string& where, const std::string& action) {
  std::string reason = "no reason given";
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_innermost, &reason);
  throw CheckpointError(format("{}: cannot {}: {}", where, action, reason));
}

Handle hdf5_type(DType dtype) {
  switch (dtype) {
    case DType::F32:
      return copy_of(H5T_IEEE_F32LE);
    case DType::F64:
      return copy_of(H5T_IEEE_F64LE);
    case DType::I32:
      return copy_of(H5T_STD_I32LE);
    case DType::I64:
      return copy_of(H5T_STD_I64LE);
    case DType::U8:
      return copy_of(H5T_STD_U8LE);
    case DType::U16:
      return copy_of(H5T_STD_U16LE);
    case DType::BF16:
      return half_width_float({8, 7, 127});
    case DType::F16:
      return half_width_float({5, 10, 15});
  }
  throw InternalError("unknown dtype");
}

Handle latest_format_access() {
  Handle access = checked(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "HDF5", "create properties");
  require_hdf5(H5Pset_libver_bounds(access.get(), H5F_LIBVER_LATEST, H5F_LIBVER_LATEST) >= 0,
               "HDF5", "ask for the latest format");
  return access;
}

hsize_t chunk_elements(DType dtype, hsize_t count) {
  return std::min(count, kChunkBytes / static_cast<hsize_t>(size_of(dtype)));
}

}  // namespace moe::checkpoint
