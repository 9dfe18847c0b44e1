/// Records for tests.
#pragma once

#include <cstdint>

#include "metrics/step_record.h"

namespace moe::testing {

inline metrics::StepRecord record_of(std::int64_t step) {
  metrics::StepRecord record;
  record.step = step;
  record.tokens = 4096 * step;
  record.loss = 8.0 / static_cast<double>(step + 1);
  record.balance_loss = 1.0625;
  record.z_loss = 0.5;
  record.grad_norm = 0.75;
  record.lr = 3e-4;
  record.tokens_per_second = 12345.6;
  record.mfu = 0.421;
  record.step_seconds = 0.33;
  record.memory_bytes = std::int64_t{3} << 29;
  record.eta_seconds = 245;
  return record;
}

}  // namespace moe::testing
