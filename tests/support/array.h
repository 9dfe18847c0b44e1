/// Typed test data for kernels: filled and read as doubles, guarded on both sides.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tensor/view.h"

namespace moe::testing {

/// Owns the elements of one View. Memory around them (and between padded rows) holds a pattern that
/// `intact` checks, because sanitizers do not see what vector code writes out of bounds.
class Array {
 public:
  Array() = default;
  /// Elements start as zeros. `padding` elements stand between rows (rank 2 only).
  Array(DType dtype, std::vector<std::int64_t> dims, std::int64_t padding = 0);
  /// Values from a fixed generator, about normal with deviation `scale`, rounded to dtype.
  static Array random(DType dtype, std::vector<std::int64_t> dims, std::uint64_t seed,
                      double scale = 1.0, std::int64_t padding = 0);
  static Array of(DType dtype, std::vector<std::int64_t> dims, const std::vector<double>& values);

  /// On this memory; not const: kernels take writable views throughout.
  View view() const;
  DType dtype() const { return view_.dtype; }
  std::int64_t size() const { return view_.numel(); }
  double operator[](std::int64_t i) const;
  double at(std::int64_t row, std::int64_t column) const {
    return (*this)[row * view_.dim(1) + column];
  }
  void set(std::int64_t i, double value);
  void fill(double value);

  /// Nothing around the elements was written.
  bool intact() const;
  /// The elements of both have the same bits.
  friend bool same_bits(const Array& a, const Array& b);

 private:
  std::byte* element(std::int64_t i) const;

  View view_;
  std::vector<std::byte> memory_;
};

bool same_bits(const Array& a, const Array& b);

/// EXPECTs every element within tolerance(dtype, reduction_length) * max(|expected|, scale).
void expect_close(const std::string& what, const Array& actual, const std::vector<double>& expected,
                  std::int64_t reduction_length = 1, double scale = 1.0);

}  // namespace moe::testing
