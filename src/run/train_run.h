/// One training run, from a config to its last checkpoint.
#pragma once

#include <atomic>

#include "comm/world.h"
#include "run/run_config.h"
#include "train/loop.h"

namespace moe::run {

/// Builds everything `config` names on this rank, resumes if there is something to resume from, and trains.
/// @returns 0, or kExitPreempted when `stop` was set and the state was saved
/// @throws every error type of base/error.h
int train(const RunConfig& config, comm::World& world, const std::atomic<bool>& stop);

/// The layout of this config on `ranks` ranks.
/// @throws ConfigError when batches, schedule or layout do not fit; needs no connected rank and touches no folder
mesh::MeshLayout require_fit(const RunConfig& config, int ranks);

/// What `--dry-run` tells: mesh, parameters, FLOPs, memory by category. Touches no folder and no data.
/// @throws ConfigError when the config does not fit `ranks`
std::string describe_run(const RunConfig& config, int ranks, bool json);

/// The dtype a config computes in on this CPU; `say` is called once when bf16 is asked for but not native.
DType choose_compute_dtype(const RuntimeConfig& runtime, CpuIsa isa,
                           const std::function<void(const std::string&)>& say);

/// A model of this config on this rank, placed and allocated, without values.
std::unique_ptr<Model> build_model(const ModelConfig& config, const mesh::ProcessMesh& mesh);

}  // namespace moe::run
