#include "metrics/meters.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "metrics/mfu.h"

namespace moe::metrics {
namespace {

TEST(MovingAverage, ForgetsWhatLeftTheWindow) {
  MovingAverage average(3);
  EXPECT_TRUE(std::isnan(average.mean()));
  for (const double value : {std::nan(""), 1.0, 2.0, 6.0}) average.add(value);
  EXPECT_EQ(average.mean(), 3.0);
  EXPECT_EQ(average.count(), 3);
}

TEST(ThroughputMeter, PausesCountForTheTimeLeftOnly) {
  ThroughputMeter meter(2);
  EXPECT_EQ(meter.tokens_per_second(), 0);
  EXPECT_EQ(meter.eta_seconds(5), std::numeric_limits<double>::infinity());
  meter.add_step(100, 10);  // leaves the window
  meter.add_step(100, 1);
  meter.add_step(300, 3);
  meter.add_pause(6);
  EXPECT_EQ(meter.tokens_per_second(), 100);
  EXPECT_EQ(meter.overall_tokens_per_second(), 500.0 / 14);
  EXPECT_EQ(meter.training_seconds(), 14);
  EXPECT_EQ(meter.eta_seconds(5), 5 * (2 + 2));
  EXPECT_EQ(meter.eta_seconds(0), 0);
}

double fake_now = 0;

TEST(ActiveStopwatch, DoesNotCountPauses) {
  fake_now = 100;
  ActiveStopwatch watch([] { return fake_now; });
  fake_now = 103;
  EXPECT_EQ(watch.seconds(), 3);
  {
    const ActiveStopwatch::Pause pause(watch);
    fake_now = 150;
    EXPECT_EQ(watch.seconds(), 3);
  }
  fake_now = 152;
  EXPECT_EQ(watch.lap(), 5);
  EXPECT_EQ(watch.seconds(), 0);
  fake_now = 153;
  EXPECT_EQ(watch.lap(), 1);
}

TEST(ModelFlopUtilisation, IsAShareOfTheRoof) {
  EXPECT_EQ(model_flop_utilisation(2e6, 1e3, 8e9), 0.25);
  EXPECT_EQ(model_flop_utilisation(2e6, 1e3, 0), 0);
  EXPECT_EQ(model_flop_utilisation(2e6, 1e3, std::nan("")), 0);
}

}  // namespace
}  // namespace moe::metrics
