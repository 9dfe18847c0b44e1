/// y = x W^T (+ b).
#pragma once

#include <string>

#include "autograd/variable.h"
#include "nn/module.h"

namespace moe::nn {

struct LinearSpec {
  std::string name;           ///< parameters are <name>.weight and <name>.bias
  Shape weight;               ///< [N..., K]
  ParameterKind kind = ParameterKind::Mlp;
  Placement placement;        ///< of the weight
  Placement bias_placement;   ///< of the bias, [N]
  double deviation = 0.02;
  bool bias = false;
};

class Linear : public Module {
 public:
  explicit Linear(const LinearSpec& spec);
  /// @shape x [..., K] -> [..., N]
  Variable forward(const Variable& x);
  Parameter& weight() { return *weight_; }
  Parameter* bias() { return bias_; }

 private:
  Parameter* weight_;
  Parameter* bias_ = nullptr;
};

}  // namespace moe::nn
