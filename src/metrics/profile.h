/// Where the time of a run's steps goes: seconds by kernel and by wait, as a table and beside it in the timeline.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "device/activity.h"
#include "metrics/trace.h"

namespace moe::metrics {

/// @invariant the first step warms up and is not counted; activities between steps (evaluation, saving) go to the
///   timeline alone; the rows of a step and `other` add up to its seconds
/// @thread the rank's computing thread
class Profile final : public ActivityObserver {
 public:
  /// Every activity also becomes a span of `trace`, which outlives this.
  explicit Profile(Trace& trace) : trace_(trace) {}

  void ended(const Activity& activity) override;

  void begin_step();
  void end_step(double seconds, double data_wait_seconds);

  /// Seconds this rank waited for gradient sums, step by step.
  const std::vector<double>& gradient_waits() const { return gradient_waits_; }
  /// To set the waiting beside: seconds the gradient sums take when nothing else runs, and seconds a step that the rank
  /// which came last waited. That is the sums' own; what the others waited more is the ranks' unequal work.
  void set_gradient_sum(double alone, double last_rank_waited) {
    gradient_sum_alone_ = alone;
    gradient_sum_exposed_ = last_rank_waited;
  }

  /// What the optimizer's passes over memory are set beside: bytes it moves a step, and bytes a second measured here.
  void set_memory(double optimizer_bytes, double bandwidth) {
    optimizer_bytes_ = optimizer_bytes;
    bandwidth_ = bandwidth;
  }

  struct Row {
    std::string name;  ///< "lm_head gemm", "moe top_k_router", "wait all_to_all", "other"
    std::int64_t calls = 0;
    double seconds = 0.0;
  };
  std::int64_t steps() const { return steps_; }
  double seconds() const { return seconds_; }
  /// Of all counted steps, most seconds first.
  std::vector<Row> rows() const;

  /// For people: milliseconds and calls a step, share of the step.
  std::string table() const;
  /// Seconds a step of one row; 0 for a name that is not there.
  double seconds_a_step(std::string_view name) const;
  /// {"steps", "step_seconds", "activities": [{"name", "calls", "seconds", "share"}], and where measured
  /// "gradient_sum_wait", "gradient_sum_exposed", "gradient_sum_alone", "optimizer_bandwidth", "memory_bandwidth"}, figures a step.
  std::string json() const;

 private:
  struct Sum {
    std::int64_t calls = 0;
    double seconds = 0.0;
  };
  double optimizer_bandwidth() const;
  using Key = std::tuple<const char*, const char*, const char*>;  // part, family, name: literals

  Trace& trace_;
  bool in_step_ = false;
  bool warm_ = false;
  std::map<Key, Sum> sums_;
  std::int64_t steps_ = 0;
  double seconds_ = 0.0;
  double data_wait_seconds_ = 0.0;
  double step_gradient_wait_ = 0.0;
  std::vector<double> gradient_waits_;
  double gradient_sum_alone_ = 0.0;
  double gradient_sum_exposed_ = 0.0;
  double optimizer_bytes_ = 0.0;
  double bandwidth_ = 0.0;
};

}  // namespace moe::metrics
