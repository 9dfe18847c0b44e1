#include "tensor/shape.h"

#include <algorithm>

#include "base/check.h"
#include "base/error.h"
#include "base/format.h"

namespace moe {

Shape::Shape(std::initializer_list<std::int64_t> dims)
    : Shape(std::span<const std::int64_t>(dims.begin(), dims.size())) {}

Shape::Shape(std::span<const std::int64_t> dims) : rank_(static_cast<int>(dims.size())) {
  MOE_CHECK_LE(rank_, kMaxRank);
  std::copy(dims.begin(), dims.end(), dims_.begin());
  for (const std::int64_t size : dims) MOE_CHECK_GE(size, 0);
}

std::int64_t Shape::operator[](int dim) const {
  const int at = dim < 0 ? dim + rank_ : dim;
  MOE_CHECK_GE(at, 0);
  MOE_CHECK_LT(at, rank_);
  return dims_[static_cast<std::size_t>(at)];
}

void Shape::set(int dim, std::int64_t size) {
  const int at = dim < 0 ? dim + rank_ : dim;
  MOE_CHECK_GE(at, 0);
  MOE_CHECK_LT(at, rank_);
  MOE_CHECK_GE(size, 0);
  dims_[static_cast<std::size_t>(at)] = size;
}

std::int64_t Shape::numel() const {
  // A file may claim any shape; beyond this, bytes could not be counted either.
  constexpr std::int64_t kMost = std::int64_t{1} << 59;
  std::int64_t product = 1;
  for (const std::int64_t size : dims()) {
    if (__builtin_mul_overflow(product, size, &product) || product > kMost) {
      throw ShapeError(format("shape {} has more elements than memory could hold",
                              format_shape(dims())));
    }
  }
  return product;
}

bool operator==(const Shape& a, const Shape& b) {
  return std::ranges::equal(a.dims(), b.dims());
}

std::string to_string(const Shape& shape) { return format_shape(shape.dims()); }

}  // namespace moe
