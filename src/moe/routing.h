/// What a router decided, and what it leaves for the balance losses.
#pragma once

#include "autograd/variable.h"
#include "tensor/tensor.h"

namespace moe {

/// @invariant a token's experts are distinct; -1 = no route (dropped, padding, expert choice)
struct Routing {
  Tensor expert_TK;      ///< i32, best first
  Variable weight_TK;    ///< f32 (f64): combine weights; a dropped route's weight is simply not used
  std::int64_t experts = 0;
};

/// Outputs of one MoE layer's router that balance losses and reports need. Ordinary results on the tape, never
/// side effects, so recomputing a layer changes nothing.
struct BalanceTerm {
  std::int64_t layer = 0;
  Variable probability_TE;  ///< scores over all experts, rows sum to 1
  Variable logsumexp_T;     ///< of the raw logits
  Tensor chosen_TK;         ///< i32 before any dropping (padding: -1)
  Tensor kept_TK;           ///< i32 after dropping
};

}  // namespace moe
