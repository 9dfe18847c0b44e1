/// What one training step tells the outside.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "metrics/expert_load.h"

namespace moe::metrics {

/// One step, already summed over ranks and micro-batches.
struct StepRecord {
  std::int64_t step = 0;         ///< 1 after the first update
  std::int64_t tokens = 0;       ///< seen since the start of training, all ranks
  double loss = 0;               ///< cross-entropy alone, nats per token
  double balance_loss = 0;       ///< unweighted; 1 = balanced
  double z_loss = 0;             ///< unweighted
  double grad_norm = 0;          ///< before clipping
  double lr = 0;                 ///< learning rate of the update
  double tokens_per_second = 0;  ///< all ranks, without evaluation and saving
  double mfu = 0;                ///< share of the measured GEMM roof, 0..1
  double step_seconds = 0;       ///< without evaluation and saving
  std::optional<double> eval_loss;           ///< on evaluation steps
  std::optional<double> eval_bits_per_byte;  ///< where the bytes of the text are known

  std::int64_t memory_bytes = 0;   ///< most that was live on this rank
  double eta_seconds = 0;          ///< infinite or negative: unknown
  double data_wait_seconds = 0;    ///< waited for the loader
  double reduce_wait_seconds = 0;  ///< waited for gradients of other ranks
  std::vector<ExpertLoad> experts;  ///< one per sparse layer, empty for a dense model
};

}  // namespace moe::metrics
