/// A MeshLayout whose groups are connected.
#pragma once

#include <array>
#include <memory>

#include "comm/group.h"
#include "mesh/mesh_layout.h"

namespace moe::mesh {

/// @invariant each purpose has its own group, so that an exchange never queues behind a reduction;
///   gradient sums that join the same ranks share one
/// @thread as comm::Group
class ProcessMesh {
 public:
  /// Collective over `world`, which must outlive the mesh.
  /// @throws CommError; ConfigError when the layout is for another number of ranks
  ProcessMesh(const MeshLayout& layout, comm::Group& world);

  const MeshLayout& layout() const { return layout_; }
  int rank() const { return world_.rank(); }
  int size() const { return world_.size(); }

  comm::Group& world() const { return world_; }
  comm::Group& group(Purpose purpose) const;
  /// Who sums the gradient of a parameter placed so.
  comm::Group& sum_grad_group(const Placement& placement) const;
  /// Who gathers its updated shards.
  comm::Group& gather_shard_group(const Placement& placement) const;

 private:
  MeshLayout layout_;
  comm::Group& world_;
  std::array<std::shared_ptr<comm::Group>, kPurposes.size()> groups_;
};

}  // namespace moe::mesh
