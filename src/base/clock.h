/// Time. Durations use the monotonic clock only; wall time is for labels.
#pragma once

#include <chrono>
#include <string>

namespace moe {

/// Seconds on a clock that never jumps; only differences mean something.
inline double monotonic_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// Seconds since 1970, for file names and event records.
inline double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

class Stopwatch {
 public:
  double seconds() const { return monotonic_seconds() - start_; }
  void restart() { start_ = monotonic_seconds(); }

 private:
  double start_ = monotonic_seconds();
};

}  // namespace moe
