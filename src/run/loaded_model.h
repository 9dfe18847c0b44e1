/// A model out of a checkpoint, for evaluation and generation.
#pragma once

#include <memory>

#include "checkpoint/checkpoint.h"
#include "comm/world.h"
#include "data/tokenizer.h"
#include "run/run_config.h"
#include "run/train_run.h"

namespace moe::run {

struct LoadedModel {
  std::shared_ptr<checkpoint::Checkpoint> checkpoint;
  RunConfig config;  ///< the run that made it, spread over this world
  std::unique_ptr<mesh::ProcessMesh> mesh;
  std::unique_ptr<Model> model;
};

/// Opens a step, checkpoints or run folder and loads this rank's weights.
/// `expert`: ranks the experts are spread over. `compute_dtype` "": as the run.
/// @comm every rank of the world takes part
/// @throws CheckpointError, ConfigError
LoadedModel load_model(const Path& path, comm::World& world, std::int64_t expert,
                       const std::string& compute_dtype);

/// The run config a checkpoint carries. @throws CheckpointError when it is not one
RunConfig config_of(const checkpoint::Checkpoint& checkpoint);

}  // namespace moe::run
