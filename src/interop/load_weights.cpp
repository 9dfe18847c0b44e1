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
  fill_parameters(model, source);
}

void fill_parameters(nn::Module& model, const checkpoint::TensorSource& source) {
  model.for_each_parameter([&](nn::Parameter& parameter) {
    source.read(parameter.name(), parameter.slice(), parameter.master().view());
    parameter.publish();
  });
}

}  // namespace moe::interop
