/// One update of the weights.
#pragma once

#include "data/loader.h"
#include "train/routing_statistics.h"
#include "train/train_state.h"

namespace moe::train {

/// Summed over ranks and micro-batches.
struct StepResult {
  double loss = 0.0;           ///< cross-entropy per counted target
  double balance_loss = 0.0;   ///< unweighted, 1 = balanced
  double z_loss = 0.0;         ///< unweighted
  double gradient_norm = 0.0;  ///< before clipping
  double learning_rate = 0.0;
  std::int64_t tokens = 0;
  double reduce_wait_seconds = 0.0;
  double reduce_seconds = 0.0;
};

/// Forward and backward of every micro-batch, gradient sum, clipping, update.
/// @invariant on NumericalError no weight, moment or counter has changed, on any rank
/// @comm SumLoss twice (counts, losses), SumGrad, SumGradNorm, and the model's own exchanges
/// @throws NumericalError(step, tensor, count of non-finite values), CommError
/// `routing` may be null; `trace` may be disabled.
StepResult run_step(TrainState& state, const data::StepBatches& batches,
                    RoutingStatistics* routing, metrics::Trace& trace);

}  // namespace moe::train
