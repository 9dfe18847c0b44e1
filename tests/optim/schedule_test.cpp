#include "optim/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "base/error.h"
#include "support/tolerance.h"

namespace moe::optim {
namespace {

using ::testing::HasSubstr;

constexpr double kPeak = 0.8;
constexpr double kMinimum = 0.2;

std::vector<double> rates(const ScheduleConfig& config, std::int64_t steps) {
  const auto schedule = make_schedule(config, kPeak, steps);
  std::vector<double> rates;
  for (std::int64_t step = 0; step < steps; ++step) {
    rates.push_back(schedule->learning_rate(step));
  }
  return rates;
}

void expect_rates(const ScheduleConfig& config, const std::vector<double>& expected) {
  const std::vector<double> found = rates(config, static_cast<std::int64_t>(expected.size()));
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(found[i], expected[i], testing::tolerance(DType::F64)) << config.name << " step " << i;
  }
}

TEST(Schedule, WarmUpRisesLinearlyToThePeakWhateverFollows) {
  for (const std::string& name : schedule_names()) {
    const ScheduleConfig config{.name = name, .warmup_steps = 4, .min_learning_rate = kMinimum};
    const std::vector<double> found = rates(config, 20);
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_DOUBLE_EQ(found[i], kPeak * static_cast<double>(i + 1) / 4.0) << name;
    }
  }
}

TEST(Schedule, NoWarmUpStartsBelowThePeakOnlyByItsFirstDecay) {
  expect_rates({.name = "constant", .warmup_steps = 0}, {kPeak, kPeak, kPeak});
  expect_rates({.name = "linear", .warmup_steps = 0, .min_learning_rate = kMinimum},
               {0.65, 0.5, 0.35, 0.2});
}

TEST(Schedule, CosineIsHalfACosineFromPeakToMinimum) {
  std::vector<double> expected = {kPeak / 2, kPeak};
  for (int i = 1; i <= 8; ++i) {
    const double half = 0.5 * (1.0 + std::cos(std::numbers::pi * i / 8.0));
    expected.push_back(kMinimum + (kPeak - kMinimum) * half);
  }
  expect_rates({.name = "cosine", .warmup_steps = 2, .min_learning_rate = kMinimum}, expected);
  EXPECT_DOUBLE_EQ(expected[5], 0.5);  // half way down is half way between
}

TEST(Schedule, LinearIsAStraightLineThatEndsAtTheMinimum) {
  expect_rates({.name = "linear", .warmup_steps = 1, .min_learning_rate = kMinimum},
               {0.8, 0.65, 0.5, 0.35, 0.2});
}

TEST(Schedule, WsdIsConstantThenDecaysOverTheLastSteps) {
  expect_rates({.name = "wsd", .warmup_steps = 2, .min_learning_rate = kMinimum, .decay_steps = 3},
               {0.4, 0.8, 0.8, 0.8, 0.8, 0.6, 0.4, 0.2});
  // A fifth of the run where the length is not given.
  expect_rates({.name = "wsd", .warmup_steps = 0, .min_learning_rate = kMinimum},
               {0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.5, 0.2});
}

TEST(Schedule, EveryScheduleStaysBetweenItsBoundsAndEndsWhereItShould) {
  for (const std::string& name : schedule_names()) {
    for (const std::int64_t steps : {1, 2, 5, 100}) {
      const ScheduleConfig config{.name = name, .warmup_steps = 0, .min_learning_rate = kMinimum};
      const std::vector<double> found = rates(config, steps);
      for (const double rate : found) {
        EXPECT_GE(rate, kMinimum - testing::tolerance(DType::F64)) << name;
        EXPECT_LE(rate, kPeak + testing::tolerance(DType::F64)) << name;
      }
      const bool decays = name != "constant" && !(name == "wsd" && steps / 5 == 0);
      EXPECT_DOUBLE_EQ(found.back(), decays ? kMinimum : kPeak) << name << " of " << steps;
    }
  }
}

std::string refusal(const ScheduleConfig& config, std::int64_t steps) {
  try {
    make_schedule(config, kPeak, steps);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(Schedule, RefusesWhatDoesNotFit) {
  EXPECT_THAT(refusal({.name = "exponential"}, 10),
              HasSubstr("allowed: cosine, wsd, linear, constant"));
  EXPECT_THAT(refusal({.name = "cosine", .min_learning_rate = 0.9}, 10),
              HasSubstr("schedule.min_learning_rate: expected at most"));
  EXPECT_THAT(refusal({.name = "wsd", .warmup_steps = 6, .decay_steps = 5}, 10),
              HasSubstr("exceed the run's 10 steps"));
  EXPECT_EQ(refusal({.name = "wsd", .warmup_steps = 5, .decay_steps = 5}, 10), "");
}

}  // namespace
}  // namespace moe::optim
