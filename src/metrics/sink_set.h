/// All sinks of a run. Telling is never fatal: a sink that fails is named once and dropped.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "metrics/metric_sink.h"

namespace moe::metrics {

/// @thread one
class SinkSet {
 public:
  /// Tells nobody (ranks other than 0).
  SinkSet() = default;
  /// Opens the sinks that `context.config` asks for. Never throws for a sink's sake.
  explicit SinkSet(const SinkContext& context);
  ~SinkSet();
  SinkSet(SinkSet&&) noexcept = default;
  SinkSet& operator=(SinkSet&&) noexcept;

  void add(std::string name, std::unique_ptr<MetricSink> sink);
  void write(const StepRecord& record);
  void message(std::string_view text);
  /// Idempotent; the destructor calls it.
  void close();

  /// Names of the sinks still working.
  std::vector<std::string> names() const;

 private:
  struct Named {
    std::string name;
    std::unique_ptr<MetricSink> sink;
  };
  template <class Action>
  void for_each(Action&& action);

  std::vector<Named> sinks_;
};

}  // namespace moe::metrics
