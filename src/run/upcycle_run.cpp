#include "run/upcycle_run.h"

#include <csignal>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/error.h"
#include "base/format.h"
#include "base/progress.h"
#include "run/carried_training.h"
#include "run/pending_folder.h"
#include "run/program.h"
#include "run/token_probe.h"
#include "run/upcycle_report.h"
#include "run/write_model.h"

namespace moe::run {
namespace {

constexpr std::int64_t kWindowBytes = 32 << 20;

using BytesProgress = std::function<void(std::int64_t, std::int64_t)>;

/// Ends the work once a signal has come.
void stop_if_asked(const UpcycleOptions& options) {
  if (options.stop == nullptr || !options.stop->load()) return;
  const int signal = stop_signal();
  throw Interrupted(signal == 0 ? SIGTERM : signal,
                    "stopped by a signal; nothing was written. Run again to start anew");
}

/// A bar of bytes made at the first call, and the place where signals are looked for.
BytesProgress bytes_bar(const UpcycleOptions& options, const std::string& label) {
  auto bar = std::make_shared<std::unique_ptr<ProgressBar>>();
  return [=](std::int64_t done, std::int64_t total) {
    stop_if_asked(options);
    if (!options.progress) return;
    if (!*bar) *bar = std::make_unique<ProgressBar>(label, total, ProgressUnit::Bytes);
    (*bar)->update(done);
    if (done >= total) (*bar)->finish();
  };
}

StoredModel open_source(const growth::Plan& plan, const UpcycleOptions& options) {
  OpenModelOptions open{.follow_links = options.follow_links, .shapes_only = options.dry_run};
  open.progress = bytes_bar(options, "verify");
  StoredModel source = open_model(plan.source, open);
  if (options.dry_run || source.has_weights) return source;
  throw CheckpointError(format("{}: expected weights, found none. HINT: --dry-run needs shapes only",
                               source.description()));
}

/// NaN and infinities are refused before anything is computed from them.
void require_finite_weights(const StoredModel& source, const UpcycleOptions& options) {
  const checkpoint::TensorSource& weights = *source.model.weights;
  std::int64_t total = 0;
  for (const std::string& name : weights.names()) {
    total += weights.info(name).shape.numel() * size_of(weights.info(name).dtype);
  }
  const BytesProgress progress = bytes_bar(options, "check");
  std::int64_t done = 0;
  std::vector<std::byte> window;
  for (const std::string& name : weights.names()) {
    const checkpoint::TensorInfo& info = weights.info(name);
    const std::int64_t per_window = kWindowBytes / size_of(info.dtype);
    Slice slice = whole(info.shape);
    const std::int64_t count = slice.flat_end;
    for (std::int64_t at = 0; at < count; at += per_window) {
      slice.flat_begin = at;
      slice.flat_end = std::min(count, at + per_window);
      const std::int64_t bytes = slice.numel() * size_of(info.dtype);
      window.resize(static_cast<std::size_t>(bytes));
      checkpoint::read_window(weights, name, slice,
                              checkpoint::flat_view(window.data(), info.dtype, slice.numel()),
                              {.dtype = std::nullopt, .require_finite = true});
      progress(done += bytes, total);
    }
  }
}

growth::GrownModel grow(const growth::Plan& plan, const StoredModel& source, const ModelProbe& probe,
                        std::span<const std::int32_t> tokens, const UpcycleOptions& options) {
  std::unique_ptr<ProgressBar> bar;
  growth::GrowthRunOptions run{.probe = &probe, .tokens = tokens};
  run.progress = [&](const std::string& what, std::size_t done, std::size_t total) {
    stop_if_asked(options);
    if (!options.progress) return;
    if (!bar) bar = std::make_unique<ProgressBar>("grow", static_cast<std::int64_t>(total));
    bar->update(static_cast<std::int64_t>(done), what);
    if (done >= total) bar->finish(what);
  };
  return growth::run_plan(plan, source.model, run);
}

WriteModelOptions write_options(const growth::Plan& plan, const UpcycleOptions& options) {
  return {.output = plan.output,
          .format = plan.output_format == "hf" ? ModelFormat::HuggingFace : ModelFormat::Native,
          .label = "write",
          .progress = options.progress,
          .stop = options.stop};
}

ModelToWrite to_write(const StoredModel& source, const growth::ModelSource& model) {
  return {.model = model,
          .files = source.files,
          .architecture = source.architecture,
          .run = source.run,
          .states = {},
          .reports = {}};
}

GrowthOrigin origin_of(const growth::Plan& plan, const StoredModel& source, std::size_t tokens) {
  const growth::VerifyConfig verify = plan.verified_on();
  return {.source = std::filesystem::absolute(source.path).string(),
          .source_digest = digest_of(source),
          .seed = plan.seed,
          .plan = growth::print_plan(plan),
          .verified_on = verify.text.empty() ? "random tokens" : verify.text,
          .tokens = static_cast<std::int64_t>(tokens)};
}

std::string architecture_state(const StoredModel& source) {
  nlohmann::ordered_json told{{"program", "moe-upcycle"},
                              {"source", std::filesystem::absolute(source.path).string()},
                              {"format", to_string(source.format)}};
  if (source.format == ModelFormat::Native) told["step"] = source.step;
  if (source.architecture) told["architecture"] = interop::to_string(*source.architecture);
  return told.dump();
}

/// What would end the work after hours is found before it starts.
void require_result_writable(const growth::Plan& plan, const StoredModel& source,
                             const std::vector<growth::StageOutline>& outlines,
                             const UpcycleOptions& options) {
  const ModelConfig& result = outlines.back().config;
  const DType dtype = dominant_dtype(*source.model.weights);
  require_writable(to_write(source, {result, shapes_of(result, dtype, plan.source)}),
                   write_options(plan, options));
}

void refuse_inexact(const growth::Plan& plan, const growth::GrownModel& grown) {
  const growth::StageReport& report = grown.reports[*grown.failed];
  throw CheckpointError(format("stages[{}] {} ({}): the largest logit difference is {}, beyond verify.require_exact {}; "
                               "nothing was written",
                               *grown.failed, report.stage, report.method, report.max_logit_difference,
                               *plan.verify.require_exact));
}

void write(const growth::Plan& plan, const StoredModel& source, const growth::GrownModel& grown,
           const ModelProbe& probe, const GrowthOrigin& origin, const UpcycleOptions& options,
           std::ostream& out) {
  const std::string report = growth_json(origin, grown.reports);
  ModelToWrite model = to_write(source, grown.model);
  model.training = carry_training(plan, source, grown.model, probe);
  model.states["growth"] = growth_state(origin);
  model.states["origin"] = architecture_state(source);
  model.reports["growth.json"] = report;
  const WrittenModel written = write_model(model, write_options(plan, options));
  if (options.json) {
    out << report;
    return;
  }
  const auto bytes = static_cast<double>(written.bytes);
  out << format("{}: {} of {} tensors{} in {} ({}/s)\n", written.path.string(), human_bytes(bytes),
                with_thousands(written.tensors),
                written.architecture ? format(", {}", interop::to_string(*written.architecture)) : "",
                human_duration(written.seconds),
                human_bytes(bytes / std::max(written.seconds, 1e-9)));
}

}  // namespace

void upcycle(const UpcycleOptions& options, std::ostream& out) {
  const growth::Plan plan = growth::load_plan(options.plan, options.overrides);
  if (!options.dry_run) require_free(plan.output);
  const StoredModel source = open_source(plan, options);
  const std::vector<growth::StageOutline> outlines = growth::outline(plan, source.model.config);
  if (options.dry_run) {
    const OutlineReport report{source.description(), source.model.config, outlines};
    out << (options.json ? outline_json(report) : outline_text(report));
    return;
  }
  require_carriable(plan, source);
  require_result_writable(plan, source, outlines, options);
  require_finite_weights(source, options);
  const ModelProbe probe(source);
  const growth::VerifyConfig verify = plan.verified_on();
  const std::vector<std::int32_t> tokens =
      probe.tokens({.text = verify.text, .tokens = verify.tokens});
  const growth::GrownModel grown = grow(plan, source, probe, tokens, options);
  if (!options.json || grown.failed) out << growth_table(grown.reports) << std::flush;
  if (grown.failed) refuse_inexact(plan, grown);
  write(plan, source, grown, probe, origin_of(plan, source, tokens.size()), options, out);
}

}  // namespace moe::run
