#include "mesh/process_mesh.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "base/format.h"

namespace moe::mesh {
namespace {

constexpr std::array kGradientSums{Purpose::SumReplicatedGrad, Purpose::SumSplitGrad,
                                   Purpose::SumExpertGrad};

std::size_t index_of(Purpose purpose) {
  return static_cast<std::size_t>(purpose);
}

// True if both purposes join the same ranks, everywhere in the world.
bool same_groups(const MeshLayout& layout, Purpose a, Purpose b) {
  for (int rank = 0; rank < layout.world(); ++rank) {
    if (layout.ranks(a, rank) != layout.ranks(b, rank)) return false;
  }
  return true;
}

// Nobody has company: known without asking anyone.
bool is_lonely(const MeshLayout& layout, Purpose purpose) {
  for (int rank = 0; rank < layout.world(); ++rank) {
    if (layout.group_size(purpose, rank) > 1) return false;
  }
  return true;
}

std::shared_ptr<comm::Group> connect(const MeshLayout& layout, Purpose purpose,
                                     comm::Group& world) {
  const std::string name(to_string(purpose));
  if (is_lonely(layout, purpose)) return comm::make_self_group(name);
  return world.split(layout.ranks(purpose, world.rank()).front(), name);
}

// The earlier gradient sum that joins the same ranks, or the purpose itself.
Purpose first_alike(const MeshLayout& layout, Purpose purpose) {
  if (std::find(kGradientSums.begin(), kGradientSums.end(), purpose) == kGradientSums.end()) {
    return purpose;
  }
  for (const Purpose earlier : kGradientSums) {
    if (earlier == purpose || same_groups(layout, earlier, purpose)) return earlier;
  }
  return purpose;
}

}  // namespace

ProcessMesh::ProcessMesh(const MeshLayout& layout, comm::Group& world)
    : layout_(layout), world_(world) {
  if (layout.world() != world.size()) {
    throw ConfigError(format("the mesh is laid out for {} ranks, but the job has {}",
                             layout.world(), world.size()));
  }
  for (const Purpose purpose : kPurposes) {
    if (first_alike(layout, purpose) == purpose) {
      groups_[index_of(purpose)] = connect(layout, purpose, world);
    }
  }
  for (const Purpose purpose : kPurposes) {
    groups_[index_of(purpose)] = groups_[index_of(first_alike(layout, purpose))];
  }
}

comm::Group& ProcessMesh::group(Purpose purpose) const {
  return *groups_[index_of(purpose)];
}

comm::Group& ProcessMesh::sum_grad_group(const Placement& placement) const {
  return group(layout_.sum_grad(placement));
}

comm::Group& ProcessMesh::gather_shard_group(const Placement& placement) const {
  return group(layout_.gather_shard(placement));
}

}  // namespace moe::mesh
