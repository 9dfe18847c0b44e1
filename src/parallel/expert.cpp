#include "parallel/expert.h"

#include "moe/all_to_all_dispatcher.h"

namespace moe::parallel {

void apply_expert(Model& model, const mesh::ProcessMesh& mesh) {
  comm::Group& group = mesh.group(mesh::Purpose::ExchangeTokens);
  if (group.size() == 1) return;
  for (const auto& block : model.blocks()) {
    if (MoeLayer* layer = block->sparse()) {
      layer->set_dispatcher(make_all_to_all_dispatcher(group));
    }
  }
}

}  // namespace moe::parallel
