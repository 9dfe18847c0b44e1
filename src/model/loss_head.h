/// From the last hidden states to the loss, or to logits.
#pragma once

#include <memory>

#include "nn/module.h"
#include "ops/linear_cross_entropy.h"

namespace moe {

/// The seam where vocabulary-parallel or distilling heads go.
class LossHead {
 public:
  virtual ~LossHead() = default;
  /// Cross-entropy summed over counted targets, times `scale`. @shape hidden [T, D]; target [T] i32
  virtual ops::HeadLoss loss(const Variable& hidden_TD, nn::Parameter& weight_VD,
                             const Tensor& target_T, double scale) = 0;
};

/// The chunked head of one rank.
std::unique_ptr<LossHead> make_chunked_loss_head();

}  // namespace moe
