#include "parallel/data.h"

namespace moe::parallel {

void apply_data(Model& model, const mesh::ProcessMesh& mesh) {
  comm::Group& group = mesh.group(mesh::Purpose::SumRoutingGlobal);
  if (group.size() > 1) model.set_routing_sums(make_group_routing_sums(group));
}

}  // namespace moe::parallel
