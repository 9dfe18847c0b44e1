#include "metrics/logging_config.h"

#include "metrics/sink_registry.h"

namespace moe::metrics {

LoggingConfig::LoggingConfig() {
  for (const SinkEntry& entry : sink_registry()) sinks.emplace(entry.name, true);
}

bool LoggingConfig::writes(std::string_view sink) const {
  const auto found = sinks.find(sink);
  return found != sinks.end() && found->second;
}

void LoggingConfig::fields(config::Fields& f) {
  f.integer("interval", interval,
            "steps between console lines and TensorBoard points; metrics.jsonl has every step",
            {.min = 1});
  for (const SinkEntry& entry : sink_registry()) {
    f.boolean(entry.name, sinks.find(entry.name)->second, entry.help);
  }
  f.choice("progress", progress, {"auto", "always", "never"},
           "the progress bar; auto shows it on a terminal only");
  f.number("flush_seconds", flush_seconds, "TensorBoard files are written out this often",
           {.min = 0});
  f.boolean("profile", profile,
            "where the time of a step goes: a table at the end, profile.json, and a timeline trace.json for Perfetto or "
            "chrome://tracing");
}

}  // namespace moe::metrics
