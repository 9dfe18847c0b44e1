/// What a kernel asks of its arguments, checked out of line (and once, not per instruction set).
#pragma once

#include "tensor/view.h"

namespace moe::kernels {

/// The number of elements of contiguous memory. @throws ShapeError
std::int64_t flat(const char* kernel, const char* argument, const View& view);
/// As above, with exactly `count` elements.
void expect_flat(const char* kernel, const char* argument, const View& view, std::int64_t count);

/// A matrix with contiguous rows at any distance (a vector is one row).
struct RowLayout {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t stride = 0;
};
/// @throws ShapeError
RowLayout rows_of(const char* kernel, const char* argument, const View& view);
/// As above, exactly [rows, columns]; gives the row stride.
std::int64_t expect_rows(const char* kernel, const char* argument, const View& view,
                         std::int64_t rows, std::int64_t columns);

/// @throws DTypeError
void expect_dtype(const char* kernel, const char* argument, const View& view, DType dtype);

/// An index outside its range. @throws ShapeError `[kernel] argument[position] = value, expected
/// [low, high)`
[[noreturn]] void throw_index(const char* kernel, const char* argument, std::int64_t position,
                              std::int64_t value, std::int64_t high);

/// The dtype that sums and per-row results of `dtype` have: f64 for f64, else f32.
DType compute_dtype(DType dtype);

}  // namespace moe::kernels
