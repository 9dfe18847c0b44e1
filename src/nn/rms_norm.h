/// Root-mean-square normalisation with a learned gain.
#pragma once

#include <string>

#include "autograd/variable.h"
#include "nn/module.h"
#include "ops/rms_norm.h"

namespace moe::nn {

class RmsNorm : public Module {
 public:
  /// `placement` of the gain [width]; replicated for the residual stream.
  RmsNorm(const std::string& name, std::int64_t width, double epsilon, Placement placement = {})
      : gain_(&declare({name + ".weight", Shape{width}, ParameterKind::Norm, placement,
                        Initializer::ones()})),
        epsilon_(epsilon) {}

  /// @shape x [..., D] with D a multiple of the gain's width -> as x
  Variable forward(const Variable& x) { return ops::rms_norm(x, *gain_, epsilon_); }
  /// sum = x + delta and its normalised form.
  ops::ResidualNorm forward_residual(const Variable& x, const Variable& delta) {
    return ops::add_rms_norm(x, delta, *gain_, epsilon_);
  }

 private:
  Parameter* gain_;
  double epsilon_;
};

}  // namespace moe::nn
