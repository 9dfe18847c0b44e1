#include "metrics/console_line.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "metrics/records.h"

namespace moe::metrics {
namespace {

using testing::record_of;

TEST(StepLine, ShowsEverythingWithThousandsSeparators) {
  StepRecord record = record_of(1200);
  record.loss = 3.24126;
  EXPECT_EQ(step_line(record, 30000),
            "step  1,200/30,000  loss 3.2413  balance 1.062  z 0.500  grad 0.750  lr 3.00e-04   "
            "12,346 tok/s  mfu 42.1 %  mem 1.50 GiB  eta 4:05");
  record.experts = {expert_load({.routed_E = {0, 0, 1}})};
  EXPECT_TRUE(step_line(record, 30000).ends_with("  dead experts 2"));
}

TEST(StepLine, ADenseModelHasNoBalance) {
  StepRecord record = record_of(1);
  record.balance_loss = record.z_loss = 0;
  EXPECT_EQ(step_line(record, 0).find("balance"), std::string::npos);
}

TEST(StepLine, SurvivesNumbersThatAreNone) {
  StepRecord record = record_of(1);
  record.loss = record.tokens_per_second = std::numeric_limits<double>::quiet_NaN();
  record.eta_seconds = std::numeric_limits<double>::infinity();
  const std::string line = step_line(record, 10);
  EXPECT_NE(line.find("loss nan"), std::string::npos);
  EXPECT_NE(line.find("? tok/s"), std::string::npos);
  EXPECT_NE(line.find("eta unknown"), std::string::npos);
}

TEST(EvalLine, OnlyOnEvaluationSteps) {
  StepRecord record = record_of(1500);
  EXPECT_EQ(eval_line(record), "");
  record.eval_loss = 2.5;
  EXPECT_EQ(eval_line(record), "eval at step 1,500: loss 2.5000");
  record.eval_bits_per_byte = 1.25;
  EXPECT_EQ(eval_line(record), "eval at step 1,500: loss 2.5000, 1.2500 bits per byte");
}

TEST(ProgressLine, FillsWithTheStepsAndFitsEveryWidth) {
  for (const int columns : {0, 1, 10, 40, 60, 80, 200}) {
    for (const std::int64_t step : {0, 1, 50, 99, 100, 150}) {
      const std::string line = progress_line(record_of(step), 100, columns);
      EXPECT_LE(static_cast<int>(line.size()), columns) << line;
      if (columns < 80) continue;
      const std::size_t bar = line.find(']') - 1;
      const auto filled = static_cast<std::int64_t>(std::ranges::count(line, '='));
      EXPECT_EQ(filled, std::min<std::int64_t>(step, 100) * static_cast<std::int64_t>(bar) / 100);
    }
  }
}

TEST(ProgressLine, WithoutATotalItIsTheStepLine) {
  EXPECT_EQ(progress_line(record_of(3), 0, 20), step_line(record_of(3), 0).substr(0, 20));
}

}  // namespace
}  // namespace moe::metrics
