/// Exact softmax attention over ranges of keys.
#pragma once

#include "autograd/variable.h"

namespace moe::ops {

/// Which keys each query sees; says causality, documents and windows at once.
struct AttentionRange {
  Tensor begin;            ///< [B*Sq] i32, first key within the query's own sequence
  Tensor end;              ///< [B*Sq] i32, one past the last
  std::int64_t batch = 1;  ///< B sequences one after another
};

/// @shape q [B*Sq, H, C]; k, v [B*Sk, G, C], H a multiple of G -> [B*Sq, H, C]
/// @grad to q, k, v; saves q, k, v, the output and one number a row and head  @det yes
/// @cost no S x S matrix in memory  @paper FlashAttention-2, arXiv:2307.08691
Variable attention(const Variable& q, const Variable& k, const Variable& v,
                   const AttentionRange& range, double scale);

}  // namespace moe::ops
