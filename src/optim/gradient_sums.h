/// What is asked of gradients before an update.
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace moe::optim {

/// Sum of x^2, accumulated in f64 in fixed blocks. @shape x any; f32, bf16, f64  @det yes
double sum_of_squares(const Tensor& x);

/// Elements that are NaN or infinite. @shape x any; f32, bf16, f64
std::int64_t count_non_finite(const Tensor& x);

}  // namespace moe::optim
