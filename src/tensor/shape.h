/// The sizes of a tensor's dims.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "tensor/view.h"

namespace moe {

/// Up to kMaxRank non-negative sizes. A scalar has rank 0 and one element.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims);
  explicit Shape(std::span<const std::int64_t> dims);

  int rank() const { return rank_; }
  /// Negative indices count from the end. @throws InternalError out of range
  std::int64_t operator[](int dim) const;
  void set(int dim, std::int64_t size);
  /// @throws ShapeError beyond 2^59 elements
  std::int64_t numel() const;
  std::span<const std::int64_t> dims() const {
    return {dims_.data(), static_cast<std::size_t>(rank_)};
  }
  friend bool operator==(const Shape& a, const Shape& b);

 private:
  std::array<std::int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

/// "[2, 3, 4]".
std::string to_string(const Shape& shape);

}  // namespace moe
