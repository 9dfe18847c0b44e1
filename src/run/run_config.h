/// The root of a run's config.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "checkpoint/checkpoint_config.h"
#include "config/fields.h"
#include "data/data_config.h"
#include "metrics/logging_config.h"
#include "model/model_config.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "parallel/parallel_config.h"
#include "train/training_config.h"

namespace moe::run {

struct RuntimeConfig {
  std::string device = "cpu";
  std::string compute_dtype = "f32";
  bool emulate_bf16 = false;
  std::optional<std::int64_t> threads;

  void fields(config::Fields& f);
};

struct RunConfig {
  std::string name = "run";
  std::string output = "runs";
  std::int64_t seed = 1;
  RuntimeConfig runtime;
  ModelConfig model;
  data::DataConfig data;
  train::TrainingConfig training;
  optim::OptimizerConfig optimizer;
  optim::ScheduleConfig schedule;
  parallel::ParallelConfig parallel;
  checkpoint::CheckpointConfig checkpoint;
  metrics::LoggingConfig logging;
  train::EvalConfig eval;

  void fields(config::Fields& f);
  /// <output>/<name>
  Path folder() const { return Path(output) / name; }
};

/// Reads a file and applies `section.key=value` overrides. With `checkpoint.init_from`, keys of `model`
/// that are not written are those of the source (of the run's own newest checkpoint, if it goes on).
/// @throws ConfigError with all errors at once; CheckpointError when that source cannot be read
RunConfig load_run_config(const Path& path, const std::vector<std::string>& overrides);
/// From resolved YAML, as checkpoints carry it. @throws ConfigError
RunConfig parse_run_config(const std::string& yaml, const std::string& name);
/// The resolved config as YAML that is itself a valid config.
std::string print_run_config(const RunConfig& config);

/// docs/configuration.md, generated from the sections.
std::string config_reference();

/// What differs between the config a checkpoint was made with and the one it is resumed with.
struct ConfigDrift {
  std::vector<std::string> refused;  ///< changes the training: "optimizer.learning_rate: 0.001 -> 0.002"
  std::vector<std::string> named;    ///< allowed, but worth telling
};
ConfigDrift compare_configs(const RunConfig& saved, const RunConfig& current);

}  // namespace moe::run
