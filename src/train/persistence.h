/// A TrainState to and from checkpoints.
#pragma once

#include <map>
#include <string>

#include "checkpoint/checkpoint.h"
#include "checkpoint/snapshot.h"
#include "train/train_state.h"

namespace moe::train {

/// What goes into a checkpoint beside the state itself.
struct CheckpointContext {
  std::string config_yaml;  ///< resolved
  std::string data_fingerprint;
  std::uint64_t seed = 0;
  std::map<std::string, Path> attachments;
};

/// Names every piece this rank is to write: replicas cut each tensor among themselves.
/// @invariant over all ranks, each element of each tensor is owned exactly once
checkpoint::State describe_state(const TrainState& state, const CheckpointContext& context);

/// Fills weights, moments, step, tokens and cursor from a checkpoint of any layout.
/// @throws CheckpointError naming every missing, unexpected or reshaped tensor
void restore_state(TrainState& state, const checkpoint::Checkpoint& checkpoint);

/// Fills weights only (evaluation, generation); optimizer state in the source is not read.
/// @throws CheckpointError naming a missing or reshaped tensor
void restore_weights(Model& model, const checkpoint::TensorSource& source);

/// The fingerprint of the data a checkpoint was trained on.
std::string data_fingerprint(const checkpoint::Checkpoint& checkpoint);

}  // namespace moe::train
