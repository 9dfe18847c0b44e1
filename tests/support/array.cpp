#include "support/array.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "support/tolerance.h"

namespace moe::testing {
namespace {

constexpr std::size_t kGuard = 128;
constexpr std::byte kPattern{0xa5};

template <class F>
auto with_element(DType dtype, F&& body) {
  switch (dtype) {
    case DType::F32:
      return body(float{});
    case DType::F64:
      return body(double{});
    case DType::BF16:
      return body(BFloat16{});
    case DType::I32:
      return body(std::int32_t{});
    case DType::I64:
      return body(std::int64_t{});
    default:
      return body(std::uint8_t{});
  }
}

}  // namespace

Array::Array(DType dtype, std::vector<std::int64_t> dims, std::int64_t padding) {
  view_.dtype = dtype;
  view_.rank = static_cast<int>(dims.size());
  std::int64_t stride = 1;
  for (std::size_t i = dims.size(); i-- > 0;) {
    view_.dims[i] = dims[i];
    view_.strides[i] = stride;
    stride *= dims[i];
    if (i + 1 == dims.size()) stride += padding;
  }
  const auto bytes = static_cast<std::size_t>(stride * size_of(dtype));
  memory_.assign(bytes + 2 * kGuard, kPattern);
  for (std::int64_t i = 0; i < size(); ++i) set(i, 0.0);
}

Array Array::random(DType dtype, std::vector<std::int64_t> dims, std::uint64_t seed, double scale,
                    std::int64_t padding) {
  Array array(dtype, std::move(dims), padding);
  std::mt19937_64 generator(seed * 7919 + 17);
  std::normal_distribution<double> normal(0.0, scale);
  for (std::int64_t i = 0; i < array.size(); ++i) array.set(i, normal(generator));
  return array;
}

Array Array::of(DType dtype, std::vector<std::int64_t> dims, const std::vector<double>& values) {
  Array array(dtype, std::move(dims));
  EXPECT_EQ(array.size(), static_cast<std::int64_t>(values.size()));
  for (std::size_t i = 0; i < values.size(); ++i)
    array.set(static_cast<std::int64_t>(i), values[i]);
  return array;
}

View Array::view() const {
  View view = view_;
  view.data = const_cast<std::byte*>(memory_.data()) + kGuard;
  return view;
}

std::byte* Array::element(std::int64_t i) const {
  std::int64_t offset = i;
  if (view_.rank == 2 && view_.dims[1] > 0) {
    offset = i / view_.dims[1] * view_.strides[0] + i % view_.dims[1];
  }
  return const_cast<std::byte*>(memory_.data()) + kGuard + offset * size_of(view_.dtype);
}

double Array::operator[](std::int64_t i) const {
  return with_element(view_.dtype, [&]<class T>(T value) {
    std::memcpy(&value, element(i), sizeof(T));
    if constexpr (std::is_same_v<T, BFloat16>) {
      return static_cast<double>(static_cast<float>(value));
    } else {
      return static_cast<double>(value);
    }
  });
}

void Array::set(std::int64_t i, double number) {
  with_element(view_.dtype, [&]<class T>(T value) {
    if constexpr (std::is_same_v<T, BFloat16>) {
      value = BFloat16(static_cast<float>(number));
    } else {
      value = static_cast<T>(number);
    }
    std::memcpy(element(i), &value, sizeof(T));
  });
}

void Array::fill(double value) {
  for (std::int64_t i = 0; i < size(); ++i) set(i, value);
}

bool Array::intact() const {
  std::vector<bool> inside(memory_.size(), false);
  for (std::int64_t i = 0; i < size(); ++i) {
    const auto at = static_cast<std::size_t>(element(i) - memory_.data());
    for (std::int64_t b = 0; b < size_of(view_.dtype); ++b) {
      inside[at + static_cast<std::size_t>(b)] = true;
    }
  }
  for (std::size_t b = 0; b < memory_.size(); ++b) {
    if (!inside[b] && memory_[b] != kPattern) return false;
  }
  return true;
}

bool same_bits(const Array& a, const Array& b) {
  if (a.dtype() != b.dtype() || a.size() != b.size()) return false;
  for (std::int64_t i = 0; i < a.size(); ++i) {
    if (std::memcmp(a.element(i), b.element(i), static_cast<std::size_t>(size_of(a.dtype()))) !=
        0) {
      return false;
    }
  }
  return true;
}

void expect_close(const std::string& what, const Array& actual, const std::vector<double>& expected,
                  std::int64_t reduction_length, double scale) {
  ASSERT_EQ(actual.size(), static_cast<std::int64_t>(expected.size())) << what;
  const double allowed = tolerance(actual.dtype(), reduction_length);
  for (std::int64_t i = 0; i < actual.size(); ++i) {
    const double want = expected[static_cast<std::size_t>(i)];
    const double bound = allowed * std::max(std::abs(want), scale);
    const double error = std::abs(actual[i] - want);
    ASSERT_TRUE(error <= bound || actual[i] == want)
        << what << "[" << i << "] is " << actual[i] << ", expected " << want << ", error " << error
        << " > " << bound;
  }
}

}  // namespace moe::testing
