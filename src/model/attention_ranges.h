/// Which keys each position sees, from document bounds, causality and windows.
#pragma once

#include "ops/attention.h"
#include "tensor/tensor.h"

namespace moe {

/// past .. past + S - 1 in each of `batch` sequences. @shape [T] i32
Tensor default_positions(std::int64_t tokens, std::int64_t batch, std::int64_t past);

/// Query s of a sequence (at absolute place past + s) sees keys [max(begin, place + 1 - window), place].
/// @shape begin_T [T] i32, first key by document bounds, or undefined (0); window 0 = none
ops::AttentionRange attention_range(const Tensor& begin_T, std::int64_t tokens, std::int64_t batch,
                                    std::int64_t past, std::int64_t window);

/// Runs of tokens that see each other: documents within sequences. @shape group_T [T] i32, 0 .. count-1 in order
struct LogicalSequences {
  Tensor group_T;
  std::int64_t count = 0;
};
LogicalSequences logical_sequences(const Tensor& begin_T, std::int64_t tokens, std::int64_t batch);

}  // namespace moe
