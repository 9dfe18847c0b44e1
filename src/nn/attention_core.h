/// The part of attention that sees keys of other positions; context-parallel forms replace it.
#pragma once

#include "autograd/variable.h"
#include "ops/attention.h"

namespace moe::nn {

class AttentionCore {
 public:
  virtual ~AttentionCore() = default;
  /// @shape q [B*Sq, H, C]; k, v [B*Sk, G, C] -> [B*Sq, H, C]
  virtual Variable forward(const Variable& q, const Variable& k, const Variable& v,
                           const ops::AttentionRange& range, double scale) = 0;
};

/// All keys are here.
class LocalAttentionCore : public AttentionCore {
 public:
  Variable forward(const Variable& q, const Variable& k, const Variable& v,
                   const ops::AttentionRange& range, double scale) override {
    return ops::attention(q, k, v, range, scale);
  }
};

}  // namespace moe::nn
