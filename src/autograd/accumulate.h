/// target += source for gradients; autograd sits below the kernels' users, so it carries its own loop.
#pragma once

#include "tensor/tensor.h"

namespace moe {

/// @shape equal element counts and dtypes (f32, bf16, f64)  @det yes
void add_into(const Tensor& target, const Tensor& source);

}  // namespace moe
