#include "metrics/meters.h"

#include <limits>
#include <numeric>

#include "base/check.h"

namespace moe::metrics {

MovingAverage::MovingAverage(std::int64_t window) : window_(static_cast<std::size_t>(window)) {
  MOE_CHECK_GE(window, 1);
}

void MovingAverage::add(double value) {
  values_.push_back(value);
  if (values_.size() > window_) values_.pop_front();
}

double MovingAverage::mean() const {
  // Summed anew: a running sum would drift, and one NaN would stay in it for ever.
  return std::accumulate(values_.begin(), values_.end(), 0.0) / static_cast<double>(values_.size());
}

ThroughputMeter::ThroughputMeter(std::int64_t window_steps)
    : window_(static_cast<std::size_t>(window_steps)) {
  MOE_CHECK_GE(window_steps, 1);
}

void ThroughputMeter::add_step(std::int64_t tokens, double seconds) {
  steps_.push_back({tokens, seconds});
  if (steps_.size() > window_) steps_.pop_front();
  ++all_steps_;
  all_tokens_ += tokens;
  all_seconds_ += seconds;
}

void ThroughputMeter::add_pause(double seconds) { pause_seconds_ += seconds; }

double ThroughputMeter::tokens_per_second() const {
  double tokens = 0;
  double seconds = 0;
  for (const Step& step : steps_) {
    tokens += static_cast<double>(step.tokens);
    seconds += step.seconds;
  }
  return seconds > 0 ? tokens / seconds : 0;
}

double ThroughputMeter::overall_tokens_per_second() const {
  return all_seconds_ > 0 ? static_cast<double>(all_tokens_) / all_seconds_ : 0;
}

double ThroughputMeter::eta_seconds(std::int64_t steps_left) const {
  if (steps_left <= 0) return 0;
  if (steps_.empty()) return std::numeric_limits<double>::infinity();
  double seconds = 0;
  for (const Step& step : steps_) seconds += step.seconds;
  const double per_step = seconds / static_cast<double>(steps_.size()) +
                          pause_seconds_ / static_cast<double>(all_steps_);
  return static_cast<double>(steps_left) * per_step;
}

void ActiveStopwatch::pause() {
  MOE_CHECK(running_);
  counted_ += clock_() - since_;
  running_ = false;
}

void ActiveStopwatch::resume() {
  MOE_CHECK(!running_);
  since_ = clock_();
  running_ = true;
}

double ActiveStopwatch::lap() {
  MOE_CHECK(running_);
  const double now = clock_();
  const double lap_seconds = counted_ + now - since_;
  counted_ = 0;
  since_ = now;
  return lap_seconds;
}

}  // namespace moe::metrics
