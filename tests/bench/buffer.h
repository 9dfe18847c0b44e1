/// Memory for benchmarks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tensor/view.h"

namespace moe::bench {

/// Zero-initialised (touched) elements, seen as a View.
class Buffer {
 public:
  Buffer(DType dtype, std::vector<std::int64_t> dims) {
    view_.dtype = dtype;
    view_.rank = static_cast<int>(dims.size());
    std::int64_t stride = 1;
    for (std::size_t i = dims.size(); i-- > 0; stride *= dims[i]) {
      view_.dims[i] = dims[i];
      view_.strides[i] = stride;
    }
    memory_.assign(static_cast<std::size_t>(view_.bytes()) + 64, std::byte{0});
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.data());
    view_.data = memory_.data() + (64 - address % 64) % 64;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  View view() const { return view_; }
  operator View() const { return view_; }  // NOLINT: as brief as in a kernel call

  /// Values in (-1, 1) without a generator's cost.
  Buffer& vary() {
    for (std::int64_t i = 0; i < view_.numel(); ++i) {
      const float x = static_cast<float>(i * 7919 % 2003) / 1001.0F - 1.0F;
      if (view_.dtype == DType::F32) view_.as<float>()[i] = x;
      if (view_.dtype == DType::BF16) view_.as<BFloat16>()[i] = BFloat16(x);
    }
    return *this;
  }
  /// Indices spread over [0, bound).
  Buffer& spread(std::int64_t bound) {
    for (std::int64_t i = 0; i < view_.numel(); ++i) {
      view_.as<std::int32_t>()[i] = static_cast<std::int32_t>(i * 7919 % bound);
    }
    return *this;
  }

 private:
  View view_;
  std::vector<std::byte> memory_;
};

}  // namespace moe::bench
