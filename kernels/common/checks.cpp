#include "kernels/common/checks.h"

#include <string>

#include "base/error.h"
#include "base/format.h"

namespace moe::kernels {
namespace {

[[noreturn]] void refuse(const char* kernel, const char* argument, const std::string& expected,
                         const View& got) {
  const auto rank = static_cast<std::size_t>(got.rank);
  throw ShapeError(format("[{}] {}: expected {}, got {} {} with strides {}", kernel, argument,
                          expected, format_shape({got.dims.data(), rank}), to_string(got.dtype),
                          format_shape({got.strides.data(), rank})));
}

}  // namespace

std::int64_t flat(const char* kernel, const char* argument, const View& view) {
  if (!view.is_contiguous()) refuse(kernel, argument, "contiguous memory", view);
  return view.numel();
}

void expect_flat(const char* kernel, const char* argument, const View& view, std::int64_t count) {
  if (flat(kernel, argument, view) != count) {
    refuse(kernel, argument, format("{} elements", count), view);
  }
}

RowLayout rows_of(const char* kernel, const char* argument, const View& view) {
  if (view.rank == 1 && view.is_contiguous()) return {1, view.dim(0), view.dim(0)};
  const bool fits = view.rank == 2 && (view.dim(1) <= 1 || view.stride(1) == 1);
  if (!fits) refuse(kernel, argument, "a matrix with contiguous rows", view);
  return {view.dim(0), view.dim(1), view.stride(0)};
}

std::int64_t expect_rows(const char* kernel, const char* argument, const View& view,
                         std::int64_t rows, std::int64_t columns) {
  const RowLayout layout = rows_of(kernel, argument, view);
  if (layout.rows != rows || layout.columns != columns) {
    refuse(kernel, argument, format("[{}, {}]", rows, columns), view);
  }
  return layout.stride;
}

void expect_dtype(const char* kernel, const char* argument, const View& view, DType dtype) {
  if (view.dtype != dtype) {
    throw DTypeError(format("[{}] {}: expected dtype {}, got {}", kernel, argument,
                            to_string(dtype), to_string(view.dtype)));
  }
}

void throw_index(const char* kernel, const char* argument, std::int64_t position,
                 std::int64_t value, std::int64_t high) {
  throw ShapeError(format("[{}] {}[{}] is {}, expected less than {} (or -1 where allowed)", kernel,
                          argument, position, value, high));
}

DType compute_dtype(DType dtype) {
  return dtype == DType::F64 ? DType::F64 : DType::F32;
}

}  // namespace moe::kernels
