/// metrics.jsonl: one JSON object a step, floats written so that they read back exactly.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/file.h"
#include "metrics/step_record.h"

namespace moe::metrics {

inline constexpr const char* kMetricsFileName = "metrics.jsonl";

/// The line of one step, with its newline. NaN and infinities become null.
std::string metrics_line(const StepRecord& record);

/// Reads a metrics file; null becomes NaN. A torn last line (a killed run) is passed over.
/// @throws DataError(path, line, reason)
std::vector<StepRecord> read_metrics(const Path& path);

/// Drops the lines of steps after `last_step`, and a torn last line; 0 drops all. The file is
/// replaced atomically, or left alone if nothing is to be dropped. An absent file is fine.
/// @throws DataError(path, reason)
void keep_metrics_until(const Path& path, std::int64_t last_step);

}  // namespace moe::metrics
