/// Finding a model on disk, whatever wrote it: a checkpoint of ours or a Hugging Face folder.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "checkpoint/checkpoint.h"
#include "growth/stage.h"
#include "interop/hf_config.h"
#include "run/model_files.h"
#include "run/run_config.h"

namespace moe::run {

enum class ModelFormat { Native, HuggingFace };
/// "native" and "hf", as on the command line.
std::string to_string(ModelFormat format);

struct OpenModelOptions {
  /// Hugging Face folders: links may lead out of the folder.
  bool follow_links = false;
  /// Read configs only, no file of weights; also what a folder with only a config.json allows.
  bool shapes_only = false;
  /// Ranks that open together; null: this rank alone. Checkpoints: each verifies its share.
  comm::Group* group = nullptr;
  /// Checkpoints: compare every file's digest before anything of it is used.
  bool verify = true;
  /// Told the bytes verified and to verify on this rank.
  std::function<void(std::int64_t done, std::int64_t total)> progress;
};

struct StoredModel {
  Path path;  ///< the step folder, or the Hugging Face folder
  ModelFormat format = ModelFormat::Native;
  /// @invariant weights holds exactly the parameters of config; reading throws when !has_weights
  growth::ModelSource model;
  bool has_weights = true;
  ModelFiles files;
  std::optional<RunConfig> run;  ///< of a checkpoint
  std::int64_t step = 0;         ///< of a checkpoint
  /// What the Hugging Face folder is, or the one that the checkpoint was made from.
  std::optional<interop::Architecture> architecture;

  std::string description() const { return path.string(); }
};

/// The dtype of most of the bytes.
DType dominant_dtype(const checkpoint::TensorSource& weights);

/// A step, checkpoints or run folder (its newest valid step), or a Hugging Face folder. Of checkpoints
/// the weights alone are taken; of a Hugging Face folder that holds a config.json and no weights, the
/// shapes.
/// @throws CheckpointError(path, what was expected and found); listing every missing, unexpected and
///   reshaped tensor
StoredModel open_model(const Path& path, const OpenModelOptions& options = {});

/// XXH3-128 over everything the model was read from: a checkpoint's manifest (which holds the digests
/// of its files), or config.json and each file of weights. @cost Hugging Face folders are read whole
std::string digest_of(const StoredModel& model);

/// Names and shapes of a model's parameters; reading throws.
/// @throws ConfigError for a config that is none
std::shared_ptr<const checkpoint::TensorSource> shapes_of(const ModelConfig& config, DType dtype,
                                                          const std::string& description);

}  // namespace moe::run
