/// Plain products of test arrays, in long double.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "support/array.h"

namespace moe::testing {

/// Elements of op(x) for a row-major array x [rows, columns].
struct Matrix {
  const Array& x;
  std::int64_t columns;
  bool transposed = false;
  std::int64_t first = 0;  ///< element the matrix starts at
  double at(std::int64_t i, std::int64_t j) const {
    return x[first + (transposed ? j * columns + i : i * columns + j)];
  }
};

/// sum over k < depth of a(i, k) b(k, j).
inline double dot(const Matrix& a, std::int64_t i, const Matrix& b, std::int64_t j,
                  std::int64_t depth) {
  long double sum = 0.0L;
  for (std::int64_t k = 0; k < depth; ++k) {
    sum += static_cast<long double>(a.at(i, k)) * static_cast<long double>(b.at(k, j));
  }
  return static_cast<double>(sum);
}

/// The size of the largest partial sum of `depth` products of unit normals.
inline double product_scale(std::int64_t depth) {
  return std::sqrt(static_cast<double>(depth < 1 ? 1 : depth));
}

}  // namespace moe::testing
