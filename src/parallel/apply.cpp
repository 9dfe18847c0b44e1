#include "parallel/apply.h"

#include "parallel/data.h"
#include "parallel/expert.h"

namespace moe::parallel {
namespace {

struct Axis {
  const char* name;
  void (*apply)(Model&, const mesh::ProcessMesh&);
};

constexpr Axis kAxes[] = {
    {"data", &apply_data},
    {"expert", &apply_expert},
};

}  // namespace

void apply(Model& model, const mesh::ProcessMesh& mesh) {
  model.for_each_parameter([&](nn::Parameter& parameter) {
    parameter.place(mesh.layout().role_shares(parameter.spec().placement, mesh.rank()));
  });
  for (const Axis& axis : kAxes) axis.apply(model, mesh);
}

}  // namespace moe::parallel
