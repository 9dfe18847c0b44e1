#include "train/loop.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/format.h"
#include "base/log.h"
#include "metrics/mfu.h"

namespace moe::train {
namespace {

bool due(std::int64_t interval, std::int64_t step) { return interval > 0 && step % interval == 0; }

/// True on every rank once any rank was asked to stop.
bool stop_agreed(const LoopContext& context) {
  const bool asked = context.stop != nullptr && context.stop->load();
  return comm::max_over(context.state->mesh->world(), asked ? 1.0 : 0.0) != 0.0;
}

std::optional<Evaluation> evaluate_if_due(LoopContext& context) {
  const bool last = context.state->step == context.total_steps;
  const bool final_one = last && context.eval.final_evaluation;
  if (context.held_out == nullptr || (!final_one && !due(context.eval.interval, context.state->step))) {
    return std::nullopt;
  }
  const auto span = context.trace->span("evaluate");
  return evaluate(*context.state->model, *context.held_out,
                  context.state->mesh->group(mesh::Purpose::ReadData),
                  final_one ? std::nullopt : context.eval.batches, nullptr);
}

void save(LoopContext& context) {
  if (context.write.folder.empty()) return;
  const auto span = context.trace->span("save");
  const auto report = checkpoint::write(
      checkpoint::take(describe_state(*context.state, context.checkpoint_context),
                       checkpoint::Staging::Borrow),
      context.write, context.state->mesh->world());
  context.sinks->message(format("saved {} ({}, {:.2f} s)", report.path.string(),
                                human_bytes(static_cast<double>(report.bytes)), report.seconds));
}

/// A failed periodic save must not end a run that is otherwise well: older checkpoints are intact.
void save_or_warn(LoopContext& context) {
  try {
    save(context);
  } catch (const CheckpointError& error) {
    if (context.state->mesh->rank() == 0) {
      log_error(format("checkpoint of step {} failed, training goes on: {}", context.state->step,
                       error.what()));
    }
  }
}

metrics::StepRecord make_record(const LoopContext& context, const StepResult& result,
                                const RoutingStatistics& routing,
                                const metrics::ThroughputMeter& meter, double seconds) {
  const double speed = static_cast<double>(result.tokens) / seconds;
  return {.step = context.state->step,
          .tokens = context.state->tokens,
          .loss = result.loss,
          .balance_loss = result.balance_loss,
          .z_loss = result.z_loss,
          .grad_norm = result.gradient_norm,
          .lr = result.learning_rate,
          .tokens_per_second = speed,
          .mfu = metrics::model_flop_utilisation(context.flops_per_token, speed, context.roof_flops),
          .step_seconds = seconds,
          .memory_bytes = current_context().allocator.total().peak_bytes,
          .eta_seconds = meter.eta_seconds(context.total_steps - context.state->step),
          .reduce_wait_seconds = result.reduce_wait_seconds,
          .experts = routing.loads()};
}

}  // namespace

LoopResult run_loop(LoopContext& context) {
  TrainState& state = *context.state;
  metrics::ThroughputMeter meter;
  LoopResult outcome;
  bool saved = true;
  while (state.step < context.total_steps && outcome.end == LoopEnd::Finished) {
    const Stopwatch watch;
    if (context.profile != nullptr) context.profile->begin_step();
    const data::StepBatches batches = context.loader->next_step();
    const double data_wait = watch.seconds();
    RoutingStatistics routing(state.model->config());
    const StepResult result = run_step(state, batches, &routing, *context.trace);
    routing.sum_over(state.mesh->group(mesh::Purpose::SumLoss));
    state.cursor = context.loader->cursor();
    const double seconds = watch.seconds();
    meter.add_step(result.tokens, seconds);
    if (context.profile != nullptr) context.profile->end_step(seconds, data_wait);

    metrics::StepRecord record = make_record(context, result, routing, meter, seconds);
    record.data_wait_seconds = data_wait;
    if (const auto evaluation = evaluate_if_due(context)) {
      record.eval_loss = evaluation->loss;
      record.eval_bits_per_byte = evaluation->bits_per_byte;
      outcome.last_evaluation = evaluation;
    }
    context.sinks->write(record);

    saved = due(context.checkpoint.interval, state.step);
    if (saved) save_or_warn(context);
    if (stop_agreed(context)) outcome.end = LoopEnd::Stopped;
    meter.add_pause(watch.seconds() - seconds);
  }
  if (!saved) save(context);
  outcome.training_seconds = meter.training_seconds();
  return outcome;
}

}  // namespace moe::train
