/// How a thread waits for something that only polling can tell.
#pragma once

#include <sched.h>
#include <time.h>

#include <cstdint>

namespace moe::comm {

/// First polls, then offers its core to others between polls, then sleeps between them. How long
/// each phase lasts is the caller's choice; asleep it takes a few percent of a core.
class Patience {
 public:
  struct Limits {
    int polls = 0;   ///< without any pause
    int yields = 0;  ///< with sched_yield
  };

  explicit Patience(std::int64_t longest_sleep_us) : longest_sleep_us_(longest_sleep_us) {}

  /// One pause before the next poll; the limits may change between calls.
  void pause(const Limits& limits) {
    const std::int64_t turn = turns_++;
    if (turn < limits.polls) return;
    if (turn < limits.polls + limits.yields) {
      sched_yield();
      return;
    }
    const timespec nap{0, static_cast<long>(sleep_us_ * 1000)};
    nanosleep(&nap, nullptr);
    sleep_us_ = sleep_us_ * 2 < longest_sleep_us_ ? sleep_us_ * 2 : longest_sleep_us_;
  }

  /// True every so many turns, and always once asleep: time to look at the clock.
  bool is_time_to_check() const { return turns_ % 256 == 0 || sleep_us_ > kFirstSleepUs; }

 private:
  static constexpr std::int64_t kFirstSleepUs = 10;
  std::int64_t longest_sleep_us_;
  std::int64_t sleep_us_ = kFirstSleepUs;
  std::int64_t turns_ = 0;
};

}  // namespace moe::comm
