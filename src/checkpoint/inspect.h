/// Looking at checkpoints: what `moe-checkpoint` prints.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"

namespace moe::checkpoint {

/// One step folder of a run.
struct ListedStep {
  std::int64_t step = 0;
  Path path;
  std::string fault;       ///< why it cannot be loaded; "" if nothing was found
  std::int64_t bytes = 0;  ///< of all its files
  std::int64_t tensors = 0;
  std::int64_t consumed_tokens = 0;
  std::int64_t ranks = 0;  ///< that wrote it
};

/// All steps of a run or checkpoints folder, oldest first. `verify`: read every byte and compare
/// digests.
/// @throws CheckpointError if there is no such folder
std::vector<ListedStep> list_checkpoints(const Path& folder, bool verify);

/// Second look at a checkpoint that opened: reads every piece through HDF5 and compares its digest,
/// and every tensor's layout digest. @throws CheckpointError naming the tensor and the file
void verify_contents(const Checkpoint& checkpoint);

/// How one tensor differs between two checkpoints.
struct TensorDifference {
  std::string name;
  std::string reason;         ///< "only in A", "shape [2] and [3]", "values"
  double largest = 0;         ///< of |a - b|, where values were compared
  std::int64_t elements = 0;  ///< that differ
};

/// Compares tensors by their layout digests, whatever the layouts; differing floats are read from
/// both.
/// @cost nothing is read for equal tensors
std::vector<TensorDifference> compare_tensors(const Checkpoint& a, const Checkpoint& b);

}  // namespace moe::checkpoint
