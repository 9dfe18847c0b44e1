/// The table of metric sinks. A new one is a .cpp file and one line here.
#pragma once

#include <memory>
#include <span>

namespace moe::metrics {

class MetricSink;
struct SinkContext;

struct SinkEntry {
  const char* name;  ///< the key in `logging`
  const char* help;
  std::unique_ptr<MetricSink> (*make)(const SinkContext& context);
};

std::span<const SinkEntry> sink_registry();

std::unique_ptr<MetricSink> make_console_sink(const SinkContext& context);
std::unique_ptr<MetricSink> make_jsonl_sink(const SinkContext& context);
std::unique_ptr<MetricSink> make_tensorboard_sink(const SinkContext& context);

}  // namespace moe::metrics
