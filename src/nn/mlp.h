/// The dense feed-forward part: gated or plain.
#pragma once

#include <string>

#include "nn/linear.h"
#include "ops/activation.h"

namespace moe::nn {

struct MlpSpec {
  std::string name;
  std::int64_t width = 0;
  std::int64_t hidden = 0;
  ops::ActivationKind activation = ops::ActivationKind::Silu;
  bool gated = true;
  ParameterKind kind = ParameterKind::Mlp;
  double deviation = 0.02;
  double output_deviation = 0.02;
};

/// down(act(gate(x)) * up(x)), or down(act(up(x))).
/// @shape x [T, D] -> [T, D]; weights gate_up [2, F, D] ([1, F, D] plain) and down [D, F]
class Mlp : public Module {
 public:
  explicit Mlp(const MlpSpec& spec);
  Variable forward(const Variable& x);

 private:
  MlpSpec spec_;
  Linear gate_up_;
  Linear down_;
};

}  // namespace moe::nn
