/// Writing a model at rest as a checkpoint of ours or as a Hugging Face folder: streamed, and there as a
/// whole or not at all.
#pragma once

#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "run/open_model.h"

namespace moe::run {

/// A signal ended the work before its result appeared.
class Interrupted : public Error {
 public:
  /// Exit codes as shells have them: 130 for SIGINT, 143 for SIGTERM.
  Interrupted(int signal, const std::string& message) : Error(128 + signal, message) {}
};

/// Training that goes on from a checkpoint of another shape (checkpoints only).
struct CarriedTraining {
  /// "<parameter>.<moment>", for every parameter of the model.
  std::shared_ptr<const checkpoint::TensorSource> moments;
  std::int64_t step = 0;
  std::int64_t samples = 0;
  std::int64_t tokens = 0;
  std::map<std::string, std::string> states;  ///< cursor, counters and such, JSON texts
};

struct ModelToWrite {
  /// Exactly the parameters of the config; read once, in windows of at most 32 MiB, by one thread.
  growth::ModelSource model;
  ModelFiles files;  ///< of StoredModel: tokenizer and such
  /// The architecture to prefer where several could express the model.
  std::optional<interop::Architecture> architecture;
  /// What the checkpoint keeps as its run's config, with the model put in; none: a run that only has
  /// the model. Hugging Face folders have no place for it.
  std::optional<RunConfig> run;
  /// Named states of the checkpoint, JSON texts ("origin" tells where it came from). Hugging Face
  /// folders have no place for them.
  std::map<std::string, std::string> states;
  /// Further files at the top of the output: name -> contents (growth.json).
  std::map<std::string, std::string> reports;
  std::optional<CarriedTraining> training = std::nullopt;
};

struct WriteModelOptions {
  Path output;
  ModelFormat format = ModelFormat::Native;
  std::optional<DType> dtype;  ///< of floating weights; none: as the source has them
  /// Hugging Face: this one or nothing.
  std::optional<interop::Architecture> architecture;
  std::int64_t shard_bytes = 5'000'000'000;  ///< Hugging Face: tensor bytes a file may hold
  std::string label = "write";               ///< of the progress bar
  bool progress = true;
  const std::atomic<bool>* stop = nullptr;  ///< once true, Interrupted is thrown and nothing is left
};

struct WrittenModel {
  Path path;
  std::int64_t tensors = 0;  ///< as the output names them
  std::int64_t bytes = 0;    ///< of weights
  double seconds = 0;
  std::optional<interop::Architecture> architecture;  ///< of a Hugging Face folder
};

/// A checkpoint becomes `<output>/checkpoints/step_00000000` (or the step of the training it carries), which every program opens by `<output>`.
/// @cost memory: at most 2 x the largest tensor (or 64 MiB) and 64 MiB, plus what reading the source needs
/// @throws CheckpointError: the output exists, too little space, NaN or infinite weights (naming tensor and
///   file), what the architecture cannot express; ConfigError, DataError, Interrupted. Nothing is left then
WrittenModel write_model(const ModelToWrite& model, const WriteModelOptions& options);

/// What can be refused before anything is read or written. @throws as write_model
void require_writable(const ModelToWrite& model, const WriteModelOptions& options);

}  // namespace moe::run
