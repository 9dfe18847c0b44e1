/// A strided, typed, non-owning window on memory; trivially copyable, kernel-safe.
#pragma once

#include <array>
#include <cstdint>

#include "tensor/dtype.h"

namespace moe {

inline constexpr int kMaxRank = 6;

/// @unit strides in elements
/// @thread valid while the owning Tensor lives
struct View {
  void* data = nullptr;
  DType dtype = DType::F32;
  int rank = 0;
  std::array<std::int64_t, kMaxRank> dims{};
  std::array<std::int64_t, kMaxRank> strides{};

  std::int64_t dim(int i) const { return dims[static_cast<std::size_t>(i < 0 ? i + rank : i)]; }
  std::int64_t stride(int i) const {
    return strides[static_cast<std::size_t>(i < 0 ? i + rank : i)];
  }
  std::int64_t numel() const {
    std::int64_t product = 1;
    for (int i = 0; i < rank; ++i) product *= dims[static_cast<std::size_t>(i)];
    return product;
  }
  std::int64_t bytes() const { return numel() * size_of(dtype); }
  bool is_contiguous() const {
    std::int64_t expected = 1;
    for (int i = rank - 1; i >= 0; --i) {
      const auto at = static_cast<std::size_t>(i);
      if (dims[at] != 1 && strides[at] != expected) return false;
      expected *= dims[at];
    }
    return true;
  }
  /// Defined at all (an absent optional argument is a View{}).
  explicit operator bool() const { return rank > 0 || data != nullptr; }

  /// The elements, unchecked: the kernel has switched on `dtype`.
  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
};

}  // namespace moe
