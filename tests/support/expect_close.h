/// Comparisons of tensors by derived tolerance.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/format.h"
#include "support/tolerance.h"
#include "tensor/tensor.h"

namespace moe::testing {

/// |a - b| <= tolerance(dtype, reduction) * max|b|, element by element.
inline ::testing::AssertionResult close_to(const Tensor& actual, const Tensor& expected, DType dtype,
                                           std::int64_t reduction) {
  if (actual.numel() != expected.numel()) {
    return ::testing::AssertionFailure()
           << "expected " << describe(expected) << ", got " << describe(actual);
  }
  const std::vector<double> a = actual.to_vector();
  const std::vector<double> b = expected.to_vector();
  double scale = 0.0;
  for (const double value : b) scale = std::max(scale, std::abs(value));
  const double allowed = tolerance(dtype, reduction) * scale;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!(std::abs(a[i] - b[i]) <= allowed)) {
      return ::testing::AssertionFailure() << format(
                 "element {}: got {}, expected {}, allowed difference {}", i, a[i], b[i], allowed);
    }
  }
  return ::testing::AssertionSuccess();
}

/// Equal bit for bit.
inline ::testing::AssertionResult same_bits(const Tensor& actual, const Tensor& expected) {
  if (actual.dtype() != expected.dtype() || actual.numel() != expected.numel()) {
    return ::testing::AssertionFailure()
           << "expected " << describe(expected) << ", got " << describe(actual);
  }
  const auto* a = static_cast<const std::byte*>(actual.data());
  const auto* b = static_cast<const std::byte*>(expected.data());
  const auto width = size_of(actual.dtype());
  for (std::int64_t i = 0; i < actual.bytes(); ++i) {
    if (a[i] != b[i]) {
      return ::testing::AssertionFailure() << format("element {} differs", i / width);
    }
  }
  return ::testing::AssertionSuccess();
}

}  // namespace moe::testing
