/// Names of parameters taken apart, and the parameters a config has.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/model_config.h"
#include "tensor/parameter_kind.h"
#include "tensor/shape.h"

namespace moe::growth {

/// "layers.3.mlp.down.weight" is layer 3, part "mlp.down.weight"; "norm.weight" has no layer.
struct ParameterName {
  std::optional<std::int64_t> layer;
  std::string part;

  static ParameterName parse(std::string_view name);
  std::string text() const;
  /// The same part of another layer.
  ParameterName in_layer(std::int64_t other) const { return {other, part}; }
};

struct ParameterShape {
  std::string name;
  Shape shape;
  ParameterKind kind = ParameterKind::Mlp;
};
/// What Model(config) declares, in its order.
std::vector<ParameterShape> parameters_of(const ModelConfig& config);

/// Weights and biases that add to the residual stream: o and down projections, of experts too.
bool writes_residual(std::string_view part);

}  // namespace moe::growth
