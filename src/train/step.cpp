#include "train/step.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "autograd/tape.h"
#include "base/error.h"
#include "base/format.h"
#include "device/activity.h"
#include "kernels/optim/adamw.h"
#include "train/model_input.h"

namespace moe::train {
namespace {

/// Real ones: rows without a sample are padding.
std::int64_t tokens_of(const data::StepBatches& batches) {
  std::int64_t tokens = 0;
  for (const data::Batch& batch : batches.micro_batches) {
    tokens += std::ranges::count_if(batch.sample_ids, [](auto id) { return id >= 0; }) *
              batch.sequence_length;
  }
  return tokens;
}

/// Counts of the whole step, known before its first forward.
struct StepCounts {
  double targets = 0.0;
  double tokens = 0.0;
  double micro_batches = 0.0;

  LossScale scale() const {
    return {.per_target = targets > 0 ? 1.0 / targets : 0.0,
            .per_token = tokens > 0 ? 1.0 / tokens : 0.0,
            .per_micro_batch = 1.0 / micro_batches};
  }
};

/// Also where ranks that are ahead wait for the others.
void sum_over_ranks(comm::Group& group, std::span<double> numbers) {
  const ActivitySpan span(current_context().stream, "wait", "loss_sum");
  comm::sum_over(group, numbers);
}

StepCounts count(const data::StepBatches& batches, comm::Group& group) {
  double values[] = {static_cast<double>(batches.target_count),
                     static_cast<double>(tokens_of(batches)),
                     static_cast<double>(batches.micro_batches.size())};
  sum_over_ranks(group, values);
  return {values[0], values[1], values[2]};
}

/// Names the first parameter with a non-finite gradient on this rank.
[[noreturn]] void throw_non_finite(TrainState& state, double norm) {
  const Tensor count = Tensor::empty({1}, DType::I64);
  std::string where;
  state.model->for_each_parameter([&](nn::Parameter& parameter) {
    if (!where.empty()) return;
    kernels::count_non_finite(current_context().stream,
                              {.x = parameter.gradient().view(), .out = count.view()});
    const std::int64_t bad = count.span<std::int64_t>()[0];
    if (bad == 0) return;
    where = format("{} ({} of {} values)", parameter.name(), bad, parameter.gradient().numel());
  });
  throw NumericalError(
      format("step {}: gradient norm is {}; first non-finite gradient: {}. No weight was changed. HINT: "
             "lower optimizer.learning_rate, or resume from an earlier checkpoint",
             state.step + 1, norm, where.empty() ? "on another rank" : where));
}

double clip_factor(double norm, double limit) {
  // As torch.nn.utils.clip_grad_norm_.
  return limit > 0 ? std::min(1.0, limit / (norm + 1e-6)) : 1.0;
}

/// Forward and backward of one micro-batch; adds its shares to `shares` {loss, balance, z}.
void run_micro_batch(TrainState& state, const data::Batch& batch, const LossScale& scale,
                     std::span<double, 3> shares, RoutingStatistics* routing) {
  const ModelInput input = to_model_input(batch);
  Tape tape;
  ModelLoss loss;
  {
    const TapeScope recording(&tape);
    loss = state.model->loss(input, scale, nn::Phase::Train);
  }
  shares[0] += loss.cross_entropy;
  shares[1] += loss.balance;
  shares[2] += loss.z;
  if (routing != nullptr) routing->add(loss.terms, input.mask_T);
  const Variable total = std::exchange(loss, ModelLoss()).total;
  tape.backward(total);
}

void update(TrainState& state, StepResult& result) {
  result.gradient_norm = state.reducer->gradient_norm();
  if (!std::isfinite(result.gradient_norm)) throw_non_finite(state, result.gradient_norm);
  result.learning_rate = state.schedule->learning_rate(state.step);
  state.optimizer->step({.step = state.step + 1,
                         .learning_rate = result.learning_rate,
                         .clip_factor = clip_factor(result.gradient_norm, state.gradient_clip)});
}

}  // namespace

StepResult run_step(TrainState& state, const data::StepBatches& batches,
                    RoutingStatistics* routing, metrics::Trace& trace) {
  comm::Group& group = state.mesh->group(mesh::Purpose::SumLoss);
  const StepCounts counts = count(batches, group);
  state.reducer->begin_step();
  state.model->routing_sums().begin_step();
  double shares[3] = {0.0, 0.0, 0.0};
  for (std::size_t m = 0; m < batches.micro_batches.size(); ++m) {
    const auto span = trace.span("micro_batch");
    if (m + 1 == batches.micro_batches.size()) state.reducer->begin_last_micro_batch();
    run_micro_batch(state, batches.micro_batches[m], counts.scale(), shares, routing);
  }
  {
    const auto span = trace.span("reduce_wait");
    state.reducer->finish();
  }
  sum_over_ranks(group, shares);
  StepResult result{.loss = shares[0], .balance_loss = shares[1], .z_loss = shares[2]};
  const auto span = trace.span("update");
  update(state, result);
  result.tokens = static_cast<std::int64_t>(std::llround(counts.tokens));
  result.reduce_wait_seconds = state.reducer->wait_seconds();
  result.reduce_seconds = state.reducer->reduce_seconds();
  ++state.step;
  state.tokens += result.tokens;
  return result;
}

}  // namespace moe::train
