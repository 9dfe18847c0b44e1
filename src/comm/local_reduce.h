/// The local half of every reduction: several buffers of one rank into one, in rank order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tensor/dtype.h"

namespace moe::comm {

enum class Reduction { Sum, Max };

/// True for the types that can be reduced: f32, f64, i32, i64.
bool is_reducible(DType dtype);

/// output[i] = inputs[0][i] + inputs[1][i] + ..., from left to right, in the type itself.
/// @invariant output may be one of the inputs; integers wrap; a NaN makes the maximum NaN
/// @det the order is that of `inputs`
void reduce_in_order(Reduction reduction, DType dtype, std::span<const std::byte* const> inputs,
                     std::byte* output, std::int64_t count);

}  // namespace moe::comm
