#include "run/write_model.h"

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "base/clock.h"
#include "base/format.h"
#include "base/log.h"
#include "base/progress.h"
#include "checkpoint/folder.h"
#include "checkpoint/joined_source.h"
#include "checkpoint/stream_writer.h"
#include "interop/hf_config_writer.h"
#include "interop/hugging_face_export.h"
#include "interop/model_rules.h"
#include "interop/safetensors_writer.h"
#include "run/pending_folder.h"
#include "run/program.h"

namespace moe::run {
namespace {

std::int64_t weight_bytes(const checkpoint::TensorSource& source, std::optional<DType> dtype) {
  std::int64_t bytes = 0;
  for (const std::string& name : source.names()) {
    const checkpoint::TensorInfo& info = source.info(name);
    bytes += info.shape.numel() * size_of(checkpoint::written_dtype(info, {dtype, false}));
  }
  return bytes;
}

/// A bar of bytes that also looks for the signal.
class Watch {
 public:
  Watch(const WriteModelOptions& options, std::int64_t total) : options_(options) {
    if (options.progress) bar_.emplace(options.label, total, ProgressUnit::Bytes);
  }
  void add(std::int64_t bytes) {
    done_ += bytes;
    if (bar_) bar_->update(done_);
    if (options_.stop == nullptr || !options_.stop->load()) return;
    const int signal = stop_signal();
    throw Interrupted(signal == 0 ? SIGTERM : signal,
                      format("stopped by a signal; nothing is left at {}. Run again to start anew",
                             options_.output.string()));
  }
  void finish() {
    if (bar_) bar_->finish();
  }

 private:
  const WriteModelOptions& options_;
  std::optional<ProgressBar> bar_;
  std::int64_t done_ = 0;
};

const char* torch_name(DType dtype) {
  switch (dtype) {
    case DType::BF16:
      return "bfloat16";
    case DType::F16:
      return "float16";
    case DType::F64:
      return "float64";
    default:
      return "float32";
  }
}

/// A folder name out of the output's.
std::string run_name(const Path& output) {
  const std::string name = output.filename().string();
  return name.empty() || name == "." || name == ".." ? "model" : name;
}

/// A config that evaluation and generation can read: it names no text.
RunConfig run_without_text(const ModelConfig& model) {
  RunConfig run;
  run.data.source = "synthetic";
  run.data.synthetic.validation_samples = 0;
  run.training.steps = 1;
  run.training.sequence_length =
      std::min(run.training.sequence_length, model.max_position_embeddings);
  return run;
}

std::string config_of_run(const ModelToWrite& model, const Path& output) {
  RunConfig run = model.run ? *model.run : run_without_text(model.model.config);
  run.name = run_name(output);
  run.model = model.model.config;
  run.checkpoint.init_from.reset();
  run.training.sequence_length =
      std::min(run.training.sequence_length, model.model.config.max_position_embeddings);
  if (model.model.config.num_experts == 0) run.parallel.expert = 1;
  return print_run_config(run);
}

void write_native(const ModelToWrite& model, const WriteModelOptions& options, const Path& folder,
                  Watch& watch, WrittenModel& written) {
  checkpoint::Header header{.world = {{"size", 1}},
                            .config = config_of_run(model, written.path),
                            .versions = {},
                            .states = model.states};
  std::shared_ptr<const checkpoint::TensorSource> tensors = model.model.weights;
  if (model.training) {
    header.step = model.training->step;
    header.consumed_samples = model.training->samples;
    header.consumed_tokens = model.training->tokens;
    header.states.insert(model.training->states.begin(), model.training->states.end());
    tensors = std::make_shared<checkpoint::JoinedSource>(
        std::vector{tensors, model.training->moments});
  }
  const Path checkpoints = folder / "checkpoints";
  std::filesystem::create_directory(checkpoints);
  const std::string step = checkpoint::step_name(header.step);
  checkpoint::write_streamed(
      *tensors, std::move(header),
      for_checkpoint(model.files, model.model.weights->description()), checkpoints / step,
      {.window = {options.dtype, true},
       .progress = [&watch](std::int64_t bytes) { watch.add(bytes); }});
  write_file_atomically(checkpoints / checkpoint::kLatestName, step + "\n");
  written.tensors = static_cast<std::int64_t>(tensors->names().size());
}

void write_hugging_face(const ModelToWrite& model, const WriteModelOptions& options,
                        const Path& folder, Watch& watch, WrittenModel& written) {
  const std::string where = model.model.weights->description();
  const interop::HuggingFaceExport exported(*written.architecture, model.model.weights);
  interop::write_hugging_face_weights(
      exported, folder,
      {.shard_bytes = options.shard_bytes,
       .dtype = options.dtype,
       .require_finite = true,
       .progress = [&watch](std::int64_t bytes) { watch.add(bytes); }});
  const ModelFiles files = for_hugging_face(model.files, where);
  const SpecialIds ids = special_ids(files, where);
  const DType dtype = options.dtype.value_or(dominant_dtype(*model.model.weights));
  for (const auto& [name, contents] : files) write_file_atomically(folder / name, contents);
  write_file_atomically(
      folder / interop::kConfigName,
      interop::hugging_face_config_text(model.model.config, *written.architecture,
                                        {.dtype = torch_name(dtype),
                                         .bos_token_id = ids.bos,
                                         .eos_token_ids = ids.eos}));
  written.tensors = static_cast<std::int64_t>(exported.names().size());
  for (const std::string& note :
       interop::export_notes(model.model.config, *written.architecture)) {
    log_warning(note);
  }
}

void require_space(const Path& target, std::int64_t bytes) {
  Path folder = std::filesystem::absolute(target).parent_path();
  while (!std::filesystem::exists(folder) && folder.has_parent_path()) folder = folder.parent_path();
  std::error_code error;
  const auto space = std::filesystem::space(folder, error);
  if (error || static_cast<std::uint64_t>(bytes) <= space.available) return;
  throw CheckpointError(format("{}: needs {}, its disk has {} left", target.string(),
                               human_bytes(static_cast<double>(bytes)),
                               human_bytes(static_cast<double>(space.available))));
}

std::optional<interop::Architecture> architecture_for(const ModelToWrite& model,
                                                      const WriteModelOptions& options) {
  if (options.format == ModelFormat::Native) return {};
  return interop::choose_architecture(model.model.config, model.architecture,
                                      options.architecture);
}

}  // namespace

void require_writable(const ModelToWrite& model, const WriteModelOptions& options) {
  require_free(options.output);
  const auto broken = interop::broken_rules(model.model.config);
  if (!broken.empty()) {
    throw CheckpointError(format("{}: the model is not valid: {}",
                                 model.model.weights->description(), fmt::join(broken, "; ")));
  }
  (void)architecture_for(model, options);
  require_space(options.output, weight_bytes(*model.model.weights, options.dtype));
}

WrittenModel write_model(const ModelToWrite& model, const WriteModelOptions& options) {
  const Stopwatch stopwatch;
  require_writable(model, options);
  WrittenModel written;
  written.architecture = architecture_for(model, options);
  written.bytes = weight_bytes(*model.model.weights, options.dtype);
  if (model.training) written.bytes += weight_bytes(*model.training->moments, options.dtype);
  PendingFolder folder(options.output);
  written.path = folder.target();
  Watch watch(options, written.bytes);
  watch.add(0);
  if (options.format == ModelFormat::Native) {
    write_native(model, options, folder.path(), watch, written);
  } else {
    write_hugging_face(model, options, folder.path(), watch, written);
  }
  for (const auto& [name, contents] : model.reports) {
    write_file_atomically(folder.path() / name, contents);
  }
  watch.add(0);
  folder.commit();
  watch.finish();
  written.seconds = stopwatch.seconds();
  return written;
}

}  // namespace moe::run
