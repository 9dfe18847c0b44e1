/// A timeline of the run in Chrome's trace format, for Perfetto (ui.perfetto.dev) or chrome://tracing.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/file.h"

namespace moe::metrics {

class Trace;

/// A span from its construction to its destruction, on the thread that made it.
class TraceSpan {
 public:
  TraceSpan(TraceSpan&& other) noexcept : trace_(other.trace_), name_(other.name_), start_(other.start_) {
    other.trace_ = nullptr;
  }
  TraceSpan& operator=(TraceSpan&&) = delete;
  ~TraceSpan() {
    if (trace_ != nullptr) end();
  }

 private:
  friend class Trace;
  TraceSpan(Trace* trace, const char* name)
      : trace_(trace), name_(name), start_(trace != nullptr ? monotonic_seconds() : 0) {}
  void end() noexcept;

  Trace* trace_;
  const char* name_;
  double start_;
};

/// An object handed around; one per rank and file. A disabled one costs a test of a pointer per span.
/// Never fatal: the first failure is a warning and ends the recording.
/// @thread any; outlives its spans
class Trace {
 public:
  /// Disabled.
  Trace();
  /// Records into `path`; `rank` becomes the process in the timeline.
  Trace(const Path& path, int rank);
  ~Trace();  // writes the end of the file
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  bool enabled() const { return recorder_ != nullptr; }

  /// `name` must outlive the trace: a literal.
  TraceSpan span(const char* name) { return {enabled() ? this : nullptr, name}; }
  /// A span that was timed elsewhere, by monotonic_seconds().
  void add_span(const char* name, double start, double end);
  /// A value over time, drawn as a graph.
  void counter(const char* name, double value);
  /// Names the calling thread in the timeline.
  void name_thread(std::string_view name);
  /// Completes the file; idempotent. Spans that end later are dropped.
  void close();

 private:
  friend class TraceSpan;
  class Recorder;
  std::unique_ptr<Recorder> recorder_;
};

}  // namespace moe::metrics
