#include "run/evaluate_run.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/format.h"
#include "base/progress.h"
#include "data/data_sources.h"
#include "metrics/expert_load.h"
#include "run/loaded_model.h"
#include "train/evaluate.h"

namespace moe::run {
namespace {

std::shared_ptr<const data::HeldOut> open_held_out(const EvaluateOptions& options,
                                                   const RunConfig& config) {
  const data::DataContext context{.seed = static_cast<std::uint64_t>(config.seed),
                                  .sequence_length = config.training.sequence_length,
                                  .vocab_size = config.model.vocab_size};
  std::shared_ptr<const data::HeldOut> held_out =
      options.data.empty() ? data::open_data(config.data, context).held_out
                           : data::open_held_out(options.data, config.data, context);
  if (!held_out) {
    throw DataError(format("{}: the run kept no text out of training. HINT: name some with --data PREFIX",
                           options.checkpoint.string()));
  }
  return held_out;
}

/// The loss depends on how far back a token may look.
void choose_sequence_length(RunConfig& config, std::int64_t wanted) {
  if (wanted == 0) return;
  if (wanted > config.model.max_position_embeddings) {
    throw ConfigError(format("--sequence-length: expected at most the model's max_position_embeddings ({}), got {}",
                             config.model.max_position_embeddings, wanted));
  }
  config.training.sequence_length = wanted;
}

std::string as_json(const train::Evaluation& evaluation, const metrics::ExpertLoadReport& report,
                    const LoadedModel& loaded) {
  nlohmann::ordered_json told;
  told["checkpoint"] = loaded.checkpoint->path().string();
  told["step"] = loaded.checkpoint->step();
  told["loss"] = evaluation.loss;
  told["perplexity"] = std::exp(evaluation.loss);
  told["tokens"] = evaluation.tokens;
  told["sequence_length"] = loaded.config.training.sequence_length;
  if (evaluation.bits_per_byte) told["bits_per_byte"] = *evaluation.bits_per_byte;
  if (!report.layers().empty()) told["routing"] = nlohmann::ordered_json::parse(report.json());
  return told.dump(2) + "\n";
}

std::string as_text(const train::Evaluation& evaluation, const metrics::ExpertLoadReport& report,
                    const LoadedModel& loaded) {
  std::string text = format("checkpoint     {} (step {})\n", loaded.checkpoint->path().string(),
                            loaded.checkpoint->step());
  text += format("held-out loss  {:.6f} nats a token over {} tokens in sequences of {}\n", evaluation.loss,
                 with_thousands(evaluation.tokens), loaded.config.training.sequence_length);
  text += format("perplexity     {:.4f}\n", std::exp(evaluation.loss));
  if (evaluation.bits_per_byte) {
    text += format("bits per byte  {:.6f}\n", *evaluation.bits_per_byte);
  }
  if (!report.layers().empty()) text += "\n" + report.table();
  return text;
}

}  // namespace

std::string evaluate_checkpoint(const EvaluateOptions& options, comm::World& world) {
  LoadedModel loaded = load_model(options.checkpoint, world, options.expert, options.compute_dtype);
  choose_sequence_length(loaded.config, options.sequence_length);
  comm::Group& readers = loaded.mesh->group(mesh::Purpose::ReadData);
  const data::HeldOutLoader held_out(
      open_held_out(options, loaded.config),
      {.micro_batch = options.batch_size > 0 ? options.batch_size
                                             : loaded.config.training.micro_batch_size,
       .reader = readers.rank(),
       .readers = readers.size()},
      loaded.config.training.sequence_length);
  train::RoutingStatistics routing(loaded.config.model);
  std::unique_ptr<ProgressBar> bar;
  if (world.rank() == 0) bar = std::make_unique<ProgressBar>("evaluate", held_out.batches());
  const train::Evaluation evaluation =
      train::evaluate(*loaded.model, held_out, readers, std::nullopt, &routing,
                      [&](std::int64_t done, std::int64_t) {
                        if (bar) bar->update(done);
                      });
  if (bar) bar->finish();
  const metrics::ExpertLoadReport report(routing.loads());
  if (world.rank() == 0 && !options.json_file.empty()) {
    write_file_atomically(options.json_file, as_json(evaluation, report, loaded));
  }
  return options.json ? as_json(evaluation, report, loaded) : as_text(evaluation, report, loaded);
}

}  // namespace moe::run
