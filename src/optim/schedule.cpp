#include "optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"
#include "base/format.h"

namespace moe::optim {
namespace {

struct Plan {
  double peak = 0.0;
  double minimum = 0.0;
  std::int64_t warmup = 0;
  std::int64_t total = 1;
  std::int64_t decay = 0;  // wsd
};

/// 0 at the first step after `begin`'s last, 1 at the last step of the run.
double progress(std::int64_t step, std::int64_t begin, std::int64_t total) {
  const std::int64_t length = std::max<std::int64_t>(total - begin, 1);
  return std::clamp(static_cast<double>(step + 1 - begin) / static_cast<double>(length), 0.0, 1.0);
}

double cosine(const Plan& plan, std::int64_t step) {
  const double done = progress(step, plan.warmup, plan.total);
  return plan.minimum +
         (plan.peak - plan.minimum) * 0.5 * (1.0 + std::cos(std::numbers::pi * done));
}

double linear(const Plan& plan, std::int64_t step) {
  return plan.peak + (plan.minimum - plan.peak) * progress(step, plan.warmup, plan.total);
}

double wsd(const Plan& plan, std::int64_t step) {
  const std::int64_t begin = plan.total - plan.decay;
  if (step < begin) return plan.peak;
  return plan.peak + (plan.minimum - plan.peak) * progress(step, begin, plan.total);
}

double constant(const Plan& plan, std::int64_t) { return plan.peak; }

struct Entry {
  const char* name;
  double (*rate)(const Plan&, std::int64_t);
};

constexpr Entry kSchedules[] = {
    {"cosine", &cosine}, {"wsd", &wsd}, {"linear", &linear}, {"constant", &constant}};

class PlannedSchedule : public Schedule {
 public:
  PlannedSchedule(const Plan& plan, double (*rate)(const Plan&, std::int64_t))
      : plan_(plan), rate_(rate) {}

  double learning_rate(std::int64_t step) const override {
    if (step < plan_.warmup) {
      return plan_.peak * static_cast<double>(step + 1) / static_cast<double>(plan_.warmup);
    }
    return rate_(plan_, step);
  }

 private:
  Plan plan_;
  double (*rate_)(const Plan&, std::int64_t);
};

}  // namespace

void ScheduleConfig::fields(config::Fields& f) {
  f.choice("name", name, schedule_names(), "shape of the learning rate after warm-up");
  f.integer("warmup_steps", warmup_steps, "steps of linear warm-up", {.min = 0});
  f.number("min_learning_rate", min_learning_rate, "rate at the end of the decay", {.min = 0});
  f.optional_integer("decay_steps", decay_steps, "null",
                     "wsd: length of the final decay; null: a fifth of the run", {.min = 0});
}

std::unique_ptr<Schedule> make_schedule(const ScheduleConfig& config, double peak,
                                        std::int64_t total_steps) {
  const Plan plan{.peak = peak,
                  .minimum = config.min_learning_rate,
                  .warmup = config.warmup_steps,
                  .total = total_steps,
                  .decay = config.decay_steps.value_or(total_steps / 5)};
  if (config.min_learning_rate > peak) {
    throw ConfigError(format("schedule.min_learning_rate: expected at most optimizer.learning_rate ({}), got {}",
                             peak, config.min_learning_rate));
  }
  if (config.name == "wsd" && plan.warmup + plan.decay > total_steps) {
    throw ConfigError(format(
        "schedule: warmup_steps ({}) and decay_steps ({}) exceed the run's {} steps", plan.warmup,
        plan.decay, total_steps));
  }
  for (const Entry& entry : kSchedules) {
    if (config.name == entry.name) return std::make_unique<PlannedSchedule>(plan, entry.rate);
  }
  throw ConfigError(format("schedule.name: '{}' is not known; allowed: {}", config.name,
                           fmt::join(schedule_names(), ", ")));
}

std::vector<std::string> schedule_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kSchedules) names.emplace_back(entry.name);
  return names;
}

}  // namespace moe::optim
