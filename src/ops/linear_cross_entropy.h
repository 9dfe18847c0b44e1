/// The language-model head and its loss in one, chunk by chunk.
#pragma once

#include "autograd/leaf.h"
#include "autograd/variable.h"

namespace moe::ops {

/// Rows of a chunk of logits: enough for full GEMM speed, few enough to stay in cache.
std::int64_t head_chunk_rows(std::int64_t vocabulary, std::int64_t tokens);

struct HeadLoss {
  Variable loss;   ///< [1] f64: scale * sum over counted targets of the cross-entropy
  Tensor loss_T;   ///< [T] f32 (f64): per token, unscaled, 0 where not counted
};

/// Cross-entropy of logits = x weight^T against targets, without ever holding all logits.
/// @shape x [T, D]; weight [V, D]; target [T] i32, negative = not counted
/// @grad to x and weight, both formed in the forward pass (the loss is divided by a count known before it), so
///   backward must arrive with gradient 1; saves dx
/// @det yes: fixed chunks of rows  @cost 6 T D V FLOP; one chunk of logits in memory
/// @throws InternalError if backward arrives with another gradient
/// @paper chunked heads: Liger, arXiv:2410.10989
HeadLoss linear_cross_entropy(const Variable& x, Leaf& weight, const Tensor& target, double scale);

}  // namespace moe::ops
