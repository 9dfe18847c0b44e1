/// Averages over the last steps: speed, time left. Pure arithmetic on what the loop measured.
#pragma once

#include <cstdint>
#include <deque>

#include "base/clock.h"

namespace moe::metrics {

/// The mean of the last `window` values; NaN before the first.
class MovingAverage {
 public:
  explicit MovingAverage(std::int64_t window);
  void add(double value);
  double mean() const;
  std::int64_t count() const { return static_cast<std::int64_t>(values_.size()); }

 private:
  std::size_t window_;
  std::deque<double> values_;
};

/// Tokens per second and time left. Evaluation and saving never count as speed, but they do count for
/// the time left.
class ThroughputMeter {
 public:
  explicit ThroughputMeter(std::int64_t window_steps = 20);

  void add_step(std::int64_t tokens, double seconds);
  /// Time spent beside training: evaluation, saving.
  void add_pause(double seconds);

  /// Over the window; 0 before the first step.
  double tokens_per_second() const;
  /// Over all steps since the start of this process.
  double overall_tokens_per_second() const;
  double training_seconds() const { return all_seconds_; }
  /// Infinity before the first step.
  double eta_seconds(std::int64_t steps_left) const;

 private:
  struct Step {
    std::int64_t tokens;
    double seconds;
  };
  std::size_t window_;
  std::deque<Step> steps_;
  std::int64_t all_steps_ = 0;
  std::int64_t all_tokens_ = 0;
  double all_seconds_ = 0;
  double pause_seconds_ = 0;
};

/// A stopwatch that can be stopped for a while.
class ActiveStopwatch {
 public:
  using Clock = double (*)();
  explicit ActiveStopwatch(Clock clock = &monotonic_seconds) : clock_(clock), since_(clock()) {}

  double seconds() const { return counted_ + (running_ ? clock_() - since_ : 0.0); }
  void pause();
  void resume();
  /// Seconds since the last lap (or the start), not counting pauses; starts the next lap.
  double lap();

  /// Stops the watch for a scope.
  class Pause {
   public:
    explicit Pause(ActiveStopwatch& watch) : watch_(watch) { watch_.pause(); }
    ~Pause() { watch_.resume(); }
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

   private:
    ActiveStopwatch& watch_;
  };

 private:
  Clock clock_;
  double since_;
  double counted_ = 0;
  bool running_ = true;
};

}  // namespace moe::metrics
