/// Saving: shards, vote, manifest, rename. A checkpoint is there as a whole or not at all.
#pragma once

#include "checkpoint/durable.h"
#include "checkpoint/retention.h"
#include "checkpoint/snapshot.h"
#include "comm/group.h"

namespace moe::checkpoint {

/// How much of a rank's payload goes into a file: a 32nd, at least 64 MiB, at most 1 GiB.
std::int64_t shard_payload(std::int64_t rank_payload);

struct WriteOptions {
  Path folder;  ///< the run's checkpoints/; created if absent
  Retention retention;
  /// A shard file's payload; larger slices are cut. Bounds the memory a save needs on top of the
  /// snapshot. 0: shard_payload().
  std::int64_t file_bytes = 0;
  Observer observer;
};

struct WriteReport {
  Path path;               ///< the committed step folder
  std::int64_t bytes = 0;  ///< of all ranks' shards
  double seconds = 0;
  std::vector<std::int64_t> removed;  ///< steps that retention removed
};

/// Writes the snapshots of all ranks of `group` as folder/step_<step>. Touches no live tensor
/// unless the snapshot borrows. A folder of the same step is replaced once the new one is complete.
/// @comm the votes; every rank's part of the manifest goes to rank 0
/// @throws CheckpointError on all ranks, with the reason of the lowest rank that failed; then
/// nothing is
///   left behind and older checkpoints are as they were. CommError when a peer is gone.
WriteReport write(Snapshot&& snapshot, const WriteOptions& options, comm::Group& group);

}  // namespace moe::checkpoint
