/// A fixture with one context current, and random f64 tensors from a counter-based stream.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "autograd/leaf.h"
#include "base/random.h"
#include "device/context.h"
#include "tensor/tensor.h"

namespace moe::testing {

/// Uniform in [-scale, scale), keyed by name.
inline Tensor random_tensor(const std::string& name, const Shape& shape, DType dtype = DType::F64,
                            double scale = 1.0) {
  const Random random(7, name);
  std::vector<double> values(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = (random.uniform(i) * 2.0 - 1.0) * scale;
  }
  return Tensor::from(values, shape, dtype);
}

/// Integers in [0, bound).
inline Tensor random_ids(const std::string& name, std::int64_t count, std::int64_t bound) {
  const Random random(7, name);
  std::vector<std::int32_t> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(bound), i));
  }
  return Tensor::from(values, {count});
}

inline Tensor ids(const std::vector<std::int32_t>& values, const Shape& shape) {
  return Tensor::from(std::span<const std::int32_t>(values), shape);
}

inline std::unique_ptr<Leaf> random_leaf(const std::string& name, const Shape& shape,
                                         DType dtype = DType::F64, double scale = 1.0) {
  return std::make_unique<Leaf>(name, random_tensor(name, shape, dtype, scale));
}

class ContextTest : public ::testing::Test {
 protected:
  DeviceContext context_{1, detect_cpu_isa()};
  ContextScope scope_{context_};
};

}  // namespace moe::testing
