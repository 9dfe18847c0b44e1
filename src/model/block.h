/// One decoder layer: attention and a dense or sparse feed-forward part, each behind a norm and a residual.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "model/model_config.h"
#include "moe/moe_layer.h"
#include "nn/attention.h"
#include "nn/mlp.h"
#include "nn/rms_norm.h"

namespace moe {

/// x1 = x + attention(norm(x)); x2 = x1 + feed_forward(norm(x1)).
class Block : public nn::Module {
 public:
  Block(const ModelConfig& config, std::int64_t layer);

  struct Output {
    Variable x_TD;
    std::optional<BalanceTerm> term;  ///< of a sparse layer
  };
  /// With `recomputed`, activations inside are not kept but formed again during backward; changes no bit.
  Output forward(const Variable& x_TD, const ops::RopeTable& rope,
                 const nn::ForwardContext& context, bool recomputed);

  /// Null in a dense layer.
  MoeLayer* sparse() { return sparse_.get(); }

 private:
  Output run(const Variable& x_TD, const ops::RopeTable& rope, const nn::ForwardContext& context);

  nn::RmsNorm attention_norm_;
  nn::Attention attention_;
  nn::RmsNorm feed_forward_norm_;
  std::unique_ptr<nn::Mlp> dense_;
  std::unique_ptr<MoeLayer> sparse_;
};

}  // namespace moe
