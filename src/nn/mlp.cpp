#include "nn/mlp.h"

#include "ops/activated_linear.h"

namespace moe::nn {

Mlp::Mlp(const MlpSpec& spec)
    : spec_(spec),
      gate_up_({.name = spec.name + ".gate_up",
                .weight = {spec.gated ? 2 : 1, spec.hidden, spec.width},
                .kind = spec.kind,
                .placement = Placement().split(1, Role::Hidden),
                .deviation = spec.deviation}),
      down_({.name = spec.name + ".down",
             .weight = {spec.width, spec.hidden},
             .kind = spec.kind,
             .placement = Placement().split(1, Role::Hidden),
             .deviation = spec.output_deviation}) {
  adopt(gate_up_);
  adopt(down_);
}

Variable Mlp::forward(const Variable& x) {
  return ops::activated_linear({gate_up_.forward(x), Variable(), spec_.activation, spec_.gated},
                               down_.weight());
}

}  // namespace moe::nn
