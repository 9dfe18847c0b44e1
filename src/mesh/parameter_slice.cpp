// Placement -> Slice: the part of MeshLayout that answers for one parameter.
#include <algorithm>

#include "mesh/mesh_layout.h"

namespace moe::mesh {
namespace {

bool is_cut(const Placement& placement) {
  return std::any_of(placement.role_of_dim.begin(), placement.role_of_dim.end(),
                     [](const auto& role) { return role.has_value(); });
}

// The same part of every role the placement names.
bool same_part(const Placement& placement, const RoleShares& a, const RoleShares& b) {
  return std::all_of(placement.role_of_dim.begin(), placement.role_of_dim.end(),
                     [&](const auto& role) { return !role || a[*role].index == b[*role].index; });
}

}  // namespace

Purpose MeshLayout::sum_grad(const Placement& placement) const {
  if (placement.has(Role::Expert)) return Purpose::SumExpertGrad;
  return is_cut(placement) ? Purpose::SumSplitGrad : Purpose::SumReplicatedGrad;
}

Purpose MeshLayout::gather_shard(const Placement& placement) const {
  return placement.has(Role::Expert) ? Purpose::GatherExpertShard : Purpose::GatherShard;
}

std::vector<int> MeshLayout::holders(const Placement& placement, int rank) const {
  const RoleShares mine = role_shares(placement, rank);
  const int first = rank / stage_ranks() * stage_ranks();
  std::vector<int> members;
  for (int other = first; other < first + stage_ranks(); ++other) {
    if (same_part(placement, mine, role_shares(placement, other))) members.push_back(other);
  }
  return members;
}

Slice MeshLayout::slice(const std::string& name, const Shape& global, const Placement& placement,
                        int rank) const {
  return place(name, global, placement, role_shares(placement, rank));
}

Slice MeshLayout::optimizer_slice(const std::string& name, const Shape& global,
                                  const Placement& placement, int rank,
                                  std::int64_t alignment) const {
  const Purpose purpose = gather_shard(placement);
  return shard(slice(name, global, placement, rank), group_size(purpose, rank),
               index_in_group(purpose, rank), alignment);
}

bool MeshLayout::owns(const Placement& placement, int rank) const {
  const Purpose purpose = gather_shard(placement);
  const int mine = index_in_group(purpose, rank);
  for (const int holder : holders(placement, rank)) {
    if (index_in_group(purpose, holder) == mine) return holder == rank;
  }
  return false;
}

}  // namespace moe::mesh
