/// Learning rates over the steps of a run.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/fields.h"

namespace moe::optim {

struct ScheduleConfig {
  std::string name = "cosine";
  std::int64_t warmup_steps = 100;
  double min_learning_rate = 0.0;
  std::optional<std::int64_t> decay_steps;  ///< wsd: length of the final decay; none: a fifth of the run

  void fields(config::Fields& f);
};

/// @invariant step counts from 0; warm-up rises linearly and reaches the peak at step warmup_steps - 1
class Schedule {
 public:
  virtual ~Schedule() = default;
  /// The rate of update `step`, 0 <= step < total_steps. @det yes
  virtual double learning_rate(std::int64_t step) const = 0;
};

/// cosine: half a cosine from peak to minimum after warm-up; linear: a straight line; wsd: constant, then a
/// straight line over the last decay_steps (arXiv:2404.06395); constant: the peak.
/// @throws ConfigError naming the known schedules, or when warm-up and decay do not fit into the run
std::unique_ptr<Schedule> make_schedule(const ScheduleConfig& config, double peak,
                                        std::int64_t total_steps);
std::vector<std::string> schedule_names();

}  // namespace moe::optim
