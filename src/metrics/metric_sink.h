/// Where metrics go: the interface of one destination.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string_view>

#include "base/file.h"
#include "metrics/logging_config.h"
#include "metrics/step_record.h"

namespace moe::metrics {

/// What a sink may need to open itself.
struct SinkContext {
  Path folder;                     ///< the run folder; exists
  std::int64_t total_steps = 0;    ///< planned; 0 = unknown
  std::int64_t resume_step = 0;    ///< last step of the checkpoint; 0 = a fresh start
  LoggingConfig config;
  std::ostream* console = nullptr;  ///< null = standard output
};

/// One destination, used by rank 0 only.
/// @throws anything, from every method: SinkSet turns it into a warning and drops the sink
/// @thread one
class MetricSink {
 public:
  virtual ~MetricSink() = default;
  virtual void write(const StepRecord& record) = 0;
  /// A line for people ("saved step 100"); most sinks ignore it.
  virtual void message(std::string_view /*text*/) {}
  /// Everything is on disk afterwards; the last call.
  virtual void close() {}
};

}  // namespace moe::metrics
