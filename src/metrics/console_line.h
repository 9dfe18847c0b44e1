/// The text that people see: a line per step and a progress bar.
#pragma once

#include <cstdint>
#include <string>

#include "metrics/step_record.h"

namespace moe::metrics {

/// "step   120/3,000  loss 3.2412  balance 1.021  z 0.0124  grad 0.92  lr 3.00e-04  12,345 tok/s ..."
/// without newline. Columns stay aligned over a run; balance and z loss are left out for dense models.
std::string step_line(const StepRecord& record, std::int64_t total_steps);

/// "eval  at step 120: loss 3.1021, 1.987 bits per byte", or "" if the step has no evaluation.
std::string eval_line(const StepRecord& record);

/// "[=====>      ]  40.0 %  1,200/3,000  eta 4:05  loss 3.2412", at most `columns` wide.
std::string progress_line(const StepRecord& record, std::int64_t total_steps, int columns);

}  // namespace moe::metrics
