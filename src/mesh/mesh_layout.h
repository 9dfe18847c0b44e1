/// Who sits where, and who acts with whom: pure arithmetic, no processes.
///
/// One job, two foldings of the same ranks; only the pipeline is shared:
///
///     attention  rank = ((((pipeline) data_replicate) data_shard) context) tensor
///     experts    rank = (((pipeline) expert_data) expert) expert_tensor
///
/// written from the outermost to the innermost: the last changes fastest. So tensor neighbours are
/// adjacent ranks, and expert groups are made of the next nearest ones: the all-to-all stays inside
/// a node as long as expert x expert_tensor does. expert_data is what is left: world / (pipeline
/// expert expert_tensor).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mesh/purpose.h"
#include "tensor/slice.h"

namespace moe::mesh {

/// How many ways each axis is cut.
struct Degrees {
  int pipeline = 1;
  int data_replicate = 1;
  int data_shard = 1;
  int context = 1;
  int tensor = 1;
  int expert = 1;
  int expert_tensor = 1;
  /// Tensor ranks hold different tokens outside their matrices (sequence parallel).
  bool tensor_splits_tokens = true;

  int data() const { return data_replicate * data_shard; }
  friend bool operator==(const Degrees&, const Degrees&) = default;
};

/// A rank's place in both foldings.
struct Coordinates {
  int pipeline = 0;
  int data_replicate = 0;
  int data_shard = 0;
  int context = 0;
  int tensor = 0;
  int expert_data = 0;
  int expert = 0;
  int expert_tensor = 0;
  friend bool operator==(const Coordinates&, const Coordinates&) = default;
};

/// @invariant for each purpose the groups partition the world
/// @thread immutable
class MeshLayout {
 public:
  /// @throws ConfigError naming the keys of section `parallel` that do not fit `world` ranks
  MeshLayout(const Degrees& degrees, int world);

  const Degrees& degrees() const { return degrees_; }
  int world() const { return world_; }
  int stage_ranks() const { return world_ / degrees_.pipeline; }
  int expert_data() const { return stage_ranks() / (degrees_.expert * degrees_.expert_tensor); }

  Coordinates coordinates(int rank) const;
  /// From the attention coordinates; the expert ones follow.
  int rank_at(const Coordinates& attention) const;
  /// From {pipeline, expert_data, expert, expert_tensor}; the attention ones follow.
  int rank_at_expert(const Coordinates& experts) const;

  /// The group of `rank` for a purpose, ascending. @cost O(group)
  std::vector<int> ranks(Purpose purpose, int rank) const;
  int group_size(Purpose purpose, int rank) const;
  /// Position of `rank` in ranks(purpose, rank).
  int index_in_group(Purpose purpose, int rank) const;

  /// How each role is cut, and which part `rank` holds, for a parameter placed so: Expert over
  /// expert; the others over tensor, or over expert_tensor where the parameter is an expert's.
  RoleShares role_shares(const Placement& placement, int rank) const;

  // ---- The one arithmetic, Placement -> Slice

  /// The purpose that sums this parameter's gradient: within a stage, the ranks that hold the same
  /// slice and saw other tokens.
  Purpose sum_grad(const Placement& placement) const;
  /// The purpose whose ranks cut its optimizer state among them and gather the parameter back.
  Purpose gather_shard(const Placement& placement) const;
  /// All ranks of the stage that hold the same slice, ascending.
  std::vector<int> holders(const Placement& placement, int rank) const;

  /// What `rank` computes with. @throws ConfigError when a size does not divide
  Slice slice(const std::string& name, const Shape& global, const Placement& placement,
              int rank) const;
  /// What `rank` updates: its part of the slice within gather_shard(placement).
  Slice optimizer_slice(const std::string& name, const Shape& global, const Placement& placement,
                        int rank, std::int64_t alignment = 1) const;
  /// True if `rank` counts its optimizer slice in the gradient norm and writes it to checkpoints:
  /// the first of the ranks that update the same elements.
  /// @invariant within a stage the owned optimizer slices tile the tensor exactly once
  bool owns(const Placement& placement, int rank) const;

 private:
  Degrees degrees_;
  int world_;
};

/// "8 ranks: data 8 (replicate 1, shard 8), expert 4 x data 2".
std::string to_string(const MeshLayout& layout);

}  // namespace moe::mesh
