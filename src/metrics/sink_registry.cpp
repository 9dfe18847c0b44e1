#include "metrics/sink_registry.h"

#include "metrics/metric_sink.h"

namespace moe::metrics {

std::span<const SinkEntry> sink_registry() {
  static constexpr SinkEntry kSinks[] = {
      {"console", "a line per step on standard output", &make_console_sink},
      {"jsonl", "metrics.jsonl, one JSON object a step", &make_jsonl_sink},
      {"tensorboard", "event files in tensorboard/", &make_tensorboard_sink},
  };
  return kSinks;
}

}  // namespace moe::metrics
