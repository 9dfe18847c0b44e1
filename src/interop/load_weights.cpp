#include "interop/load_weights.h"

#include <vector>

#include "base/check.h"

namespace moe::interop {

void load_parameters(Model& model, const checkpoint::TensorSource& source) {
  const std::vector<nn::Parameter*> parameters = model.parameters();
  std::vector<checkpoint::ExpectedTensor> expected;
  for (const nn::Parameter* parameter : parameters) {
    MOE_CHECK(parameter->materialized());
    expected.push_back({parameter->name(), parameter->spec().shape, {}});
  }
  checkpoint::require_tensors(source, expected);
  for (const nn::Parameter* parameter : parameters) {
    const Tensor& master = parameter->master();
    source.read(parameter->name(), parameter->slice(), master.view());
    parameter->publish();
  }
}

}  // namespace moe::interop
