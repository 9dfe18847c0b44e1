#include "nn/linear.h"

#include "ops/linear.h"

namespace moe::nn {

Linear::Linear(const LinearSpec& spec)
    : weight_(&declare({spec.name + ".weight", spec.weight, spec.kind, spec.placement,
                        Initializer::normal(spec.deviation)})) {
  if (!spec.bias) return;
  const std::int64_t outputs = spec.weight.numel() / spec.weight[-1];
  bias_ = &declare({spec.name + ".bias", Shape{outputs}, ParameterKind::Bias, spec.bias_placement,
                    Initializer::zeros()});
}

Variable Linear::forward(const Variable& x) { return ops::linear(x, *weight_, bias_); }

}  // namespace moe::nn
