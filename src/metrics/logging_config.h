/// The `logging` section of a run config.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "config/fields.h"

namespace moe::metrics {

/// Each sink of the registry is a boolean key of its own: `console: true`, `jsonl: true`, ...
struct LoggingConfig {
  LoggingConfig();

  std::int64_t interval = 1;       ///< steps between console lines and TensorBoard points
  std::string progress = "auto";   ///< the bar: auto (on a terminal), always, never
  double flush_seconds = 10;       ///< TensorBoard files are written out this often
  bool profile = false;            ///< where the time goes: trace.json, profile.json
  std::map<std::string, bool, std::less<>> sinks;  ///< by name; all on

  bool writes(std::string_view sink) const;
  /// Is `step` one to tell about?
  bool due(std::int64_t step) const { return step % interval == 0 || step == 1; }
  void fields(config::Fields& f);
};

}  // namespace moe::metrics
