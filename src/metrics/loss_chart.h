/// The loss curve of a run, drawn from its own metrics.jsonl.
#pragma once

#include <string>
#include <vector>

#include "base/file.h"
#include "metrics/step_record.h"

namespace moe::metrics {

/// Training loss (thin as measured, thick as a moving average) and held-out loss over tokens or steps.
std::string loss_chart(const std::vector<StepRecord>& records, const std::string& title);

/// Reads `metrics_file` and writes `svg`. Never fatal: says why in a warning and returns false.
bool write_loss_chart(const Path& metrics_file, const Path& svg, const std::string& title);

}  // namespace moe::metrics
