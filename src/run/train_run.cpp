#include "run/train_run.h"

#include <filesystem>
#include <numeric>

#include "base/error.h"
#include "base/format.h"
#include "base/log.h"
#include "checkpoint/resume.h"
#include "checkpoint/retention.h"
#include "checkpoint/folder.h"
#include "data/data_sources.h"
#include "metrics/loss_chart.h"
#include "model/counts.h"
#include "parallel/apply.h"
#include "run/initial_weights.h"
#include "run/machine.h"
#include "run/tokenizer_files.h"

namespace moe::run {

DType choose_compute_dtype(const RuntimeConfig& runtime, CpuIsa isa,
                           const std::function<void(const std::string&)>& say) {
  if (runtime.compute_dtype == "f32") return DType::F32;
  if (isa == CpuIsa::Avx512Bf16 || runtime.emulate_bf16) return DType::BF16;
  say(format("runtime.compute_dtype: bf16 is not native on this CPU ({}, {}); computing in f32",
             cpu_model_name(), to_string(isa)));
  return DType::F32;
}

std::unique_ptr<Model> build_model(const ModelConfig& config, const mesh::ProcessMesh& mesh) {
  auto model = std::make_unique<Model>(config);
  parallel::apply(*model, mesh);
  return model;
}

namespace {

/// The parts of a run on one rank, in the order they are built.
class TrainRun {
 public:
  TrainRun(const RunConfig& config, comm::World& world)
      : config_(config),
        world_(world),
        mesh_(require_fit(config, world.size()), world.group()) {
  }

  int run(const std::atomic<bool>& stop) {
    open_data();
    // Whatever can be refused is refused before a folder is touched.
    const std::shared_ptr<checkpoint::Checkpoint> resumed = find_checkpoint();
    const std::optional<InitialWeights> initial = find_initial_weights(resumed != nullptr);
    open_folder(resumed ? resumed->step() : 0);
    build_state();
    if (resumed) restore(*resumed);
    if (initial) initial->fill(*state_.model);
    train::LoopContext context = wire(stop);
    const train::LoopResult result = train::run_loop(context);
    finish(result);
    return result.end == train::LoopEnd::Stopped ? kExitPreempted : 0;
  }

 private:
  bool is_root() const { return world_.group().rank() == 0; }

  void say(const std::string& text) const {
    if (is_root()) log_info(text);
  }

  data::BatchLayout batch_layout() {
    comm::Group& readers = mesh_.group(mesh::Purpose::ReadData);
    return {.global_batch = config_.training.global_batch_size,
            .micro_batch = config_.training.micro_batch_size,
            .reader = readers.rank(),
            .readers = readers.size()};
  }

  void open_data() {
    data_ = data::open_data(config_.data, {.seed = static_cast<std::uint64_t>(config_.seed),
                                           .sequence_length = config_.training.sequence_length,
                                           .vocab_size = config_.model.vocab_size});
    if (data_.held_out) {
      held_out_ = std::make_unique<data::HeldOutLoader>(data_.held_out, batch_layout(),
                                                        config_.training.sequence_length);
    }
  }

  Path checkpoints() const { return config_.folder() / "checkpoints"; }

  void open_folder(std::int64_t start) {
    if (is_root()) {
      std::filesystem::create_directories(checkpoints());
      checkpoint::clean_leftovers(checkpoints());
      set_aside_later_steps(start);
      write_file_atomically(config_.folder() / "config.resolved.yaml", print_run_config(config_));
    }
    world_.group().barrier().wait();
  }

  // Of an earlier run of this name, which this one starts anew or from further back.
  void set_aside_later_steps(std::int64_t start) const {
    const auto aside = checkpoint::set_aside_after(checkpoints(), start);
    if (!aside) return;
    const Path metrics = config_.folder() / "metrics.jsonl";
    if (std::filesystem::exists(metrics)) {
      std::filesystem::copy_file(metrics, *aside / "metrics.jsonl");
    }
    say(format("this run starts at step {}: later checkpoints and the metrics of an earlier one are kept in {}", start,
               aside->string()));
  }

  void build_state() {
    const DType dtype = choose_compute_dtype(config_.runtime, current_context().stream.isa(),
                                             [this](const std::string& text) { say(text); });
    state_.mesh = &mesh_;
    state_.model = build_model(config_.model, mesh_);
    state_.model->set_recompute(config_.training.recompute);
    state_.model->materialize(dtype, static_cast<std::uint64_t>(config_.seed));
    state_.reducer = std::make_unique<parallel::GradReducer>(
        state_.model->parameters(), mesh_,
        parallel::ReducerOptions{.bucket_bytes = config_.parallel.bucket_mib << 20,
                                 .overlap = config_.parallel.overlap});
    state_.optimizer = optim::make_optimizer(config_.optimizer, state_.reducer->trained_tensors());
    state_.schedule = optim::make_schedule(config_.schedule, config_.optimizer.learning_rate,
                                           config_.training.total_steps());
    state_.gradient_clip = config_.training.gradient_clip;
  }

  /// What this run continues from, or null.
  std::shared_ptr<checkpoint::Checkpoint> find_checkpoint() {
    const checkpoint::Found found = checkpoint::resolve_resume(
        config_.checkpoint.resume, checkpoints(), {.group = &world_.group()});
    if (found.checkpoint) require_training_state(*found.checkpoint);
    if (found.checkpoint) refuse_drift(*found.checkpoint);
    return found.checkpoint;
  }

  /// The weights of `checkpoint.init_from`, unless the run goes on from a checkpoint of its own.
  std::optional<InitialWeights> find_initial_weights(bool resumed) {
    if (!config_.checkpoint.init_from) return {};
    if (resumed) {
      say("checkpoint.init_from is not read: the run goes on from its own checkpoint");
      return {};
    }
    return InitialWeights(config_, world_.group(), [this](const std::string& text) { say(text); });
  }

  void restore(const checkpoint::Checkpoint& checkpoint) {
    train::restore_state(state_, checkpoint);
    say(format("resumed from {} (step {})", checkpoint.path().string(), state_.step));
  }

  void refuse_drift(const checkpoint::Checkpoint& checkpoint) const {
    const RunConfig saved =
        parse_run_config(checkpoint.header().config, checkpoint.path().string() + " (saved config)");
    const ConfigDrift drift = compare_configs(saved, config_);
    for (const std::string& line : drift.named) say("changed since the checkpoint: " + line);
    if (!drift.refused.empty()) {
      throw ConfigError(format(
          "cannot resume from {}: these keys change the training:\n  {}\nHINT: restore them, or start anew with "
          "checkpoint.resume=never and another name",
          checkpoint.path().string(), fmt::join(drift.refused, "\n  ")));
    }
    const std::string now = data_.train->fingerprint();
    if (const std::string then = train::data_fingerprint(checkpoint); then != now) {
      throw DataError(format("cannot resume from {}: the training data changed: expected fingerprint {}, found {}",
                             checkpoint.path().string(), then, now));
    }
  }

  train::LoopContext wire(const std::atomic<bool>& stop) {
    loader_ = std::make_unique<data::Loader>(
        data_.train,
        data::Loader::Options{.layout = batch_layout(),
                              .sequence_length = config_.training.sequence_length,
                              .prefetch = config_.data.prefetch},
        state_.cursor);
    if (is_root()) {
      sinks_ = metrics::SinkSet({.folder = config_.folder(),
                                 .total_steps = config_.training.total_steps(),
                                 .resume_step = state_.step,
                                 .config = config_.logging});
    }
    if (config_.logging.profile) start_profile();
    double roof = measure_gemm_roof();
    comm::sum_over(world_.group(), {&roof, 1});
    current_context().allocator.reset_peaks();
    return {.state = &state_,
            .loader = loader_.get(),
            .held_out = held_out_.get(),
            .total_steps = config_.training.total_steps(),
            .eval = config_.eval,
            .checkpoint = config_.checkpoint,
            .write = {.folder = checkpoints(), .retention = config_.checkpoint.retention()},
            .checkpoint_context = {.config_yaml = print_run_config(config_),
                                   .data_fingerprint = data_.train->fingerprint(),
                                   .seed = static_cast<std::uint64_t>(config_.seed),
                                   .attachments = tokenizer_attachments()},
            .sinks = &sinks_,
            .trace = trace_.get(),
            .profile = profile_.get(),
            .flops_per_token =
                training_flops_per_token(config_.model, config_.training.sequence_length),
            .roof_flops = roof,
            .stop = &stop};
  }

  /// The tokenizer travels in every checkpoint.
  std::map<std::string, Path> tokenizer_attachments() {
    if (!is_root() || !data_.tokenizer) return {};
    return save_tokenizer_files(*data_.tokenizer, config_.folder());
  }

  /// Of several ranks each writes its own files.
  Path profile_file(std::string_view stem) const {
    return config_.folder() / (world_.size() == 1 ? format("{}.json", stem) : format("{}.{}.json", stem, world_.rank()));
  }

  /// AdamW reads weight, gradient and both moments and writes all but the gradient, and the copy to compute with.
  double optimizer_bytes() const {
    std::int64_t bytes = 0;
    for (const optim::TrainedTensor& tensor : state_.reducer->trained_tensors()) {
      bytes += 7 * tensor.master.numel() * static_cast<std::int64_t>(sizeof(float));
      if (tensor.compute.defined()) bytes += tensor.compute.numel() * size_of(tensor.compute.dtype());
    }
    return static_cast<double>(bytes);
  }

  void start_profile() {
    trace_ = std::make_unique<metrics::Trace>(profile_file("trace"), world_.rank());
    profile_ = std::make_unique<metrics::Profile>(*trace_);
    current_context().stream.observe(profile_.get());
  }

  /// Of each step the shortest wait of any rank, in the mean: the rank that came last waited for the sums alone.
  double least_gradient_wait() {
    std::vector<double> waits = profile_->gradient_waits();
    if (waits.empty()) return 0.0;
    for (double& wait : waits) wait = -wait;
    const auto count = static_cast<std::int64_t>(waits.size());
    world_.group().all_reduce_max(View{waits.data(), DType::F64, 1, {count}, {1}}).wait();
    return -std::accumulate(waits.begin(), waits.end(), 0.0) / static_cast<double>(count);
  }

  void finish_profile() {
    if (!profile_) return;
    current_context().stream.observe(nullptr);
    trace_->close();
    profile_->set_memory(optimizer_bytes(), measure_memory_bandwidth());
    if (world_.size() > 1) {
      const double own = least_gradient_wait();
      profile_->set_gradient_sum(state_.reducer->seconds_alone(), own);
    }
    write_file_atomically(profile_file("profile"), profile_->json());
    say(profile_->table());
  }

  void finish(const train::LoopResult& result) {
    sinks_.close();
    finish_profile();
    if (!is_root()) return;
    metrics::write_loss_chart(config_.folder() / "metrics.jsonl", config_.folder() / "loss.svg",
                              config_.name);
    if (result.end == train::LoopEnd::Stopped) {
      log_warning(format("stopped by a signal at step {}; the state is saved", state_.step));
    }
  }

  RunConfig config_;
  comm::World& world_;
  mesh::ProcessMesh mesh_;
  data::DataSet data_;
  std::unique_ptr<data::HeldOutLoader> held_out_;
  train::TrainState state_;
  std::unique_ptr<data::Loader> loader_;
  metrics::SinkSet sinks_;
  std::unique_ptr<metrics::Trace> trace_ = std::make_unique<metrics::Trace>();
  std::unique_ptr<metrics::Profile> profile_;
};

}  // namespace

int train(const RunConfig& config, comm::World& world, const std::atomic<bool>& stop) {
  return TrainRun(config, world).run(stop);
}

}  // namespace moe::run
