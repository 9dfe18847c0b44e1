#include "metrics/loss_chart.h"

#include <gtest/gtest.h>

#include <cmath>

#include "metrics/metrics_file.h"
#include "metrics/records.h"
#include "support/temporary_folder.h"

namespace moe::metrics {
namespace {

using testing::record_of;
using testing::TemporaryFolder;

TEST(LossChart, IsDrawnFromTheMetricsFile) {
  const TemporaryFolder folder;
  std::string lines;
  for (std::int64_t step = 1; step <= 200; ++step) {
    StepRecord record = record_of(step);
    if (step == 3) record.loss = std::nan("");
    if (step % 50 == 0) record.eval_loss = record.loss, record.eval_bits_per_byte = 1.5;
    lines += metrics_line(record);
  }
  write_file_atomically(folder / kMetricsFileName, lines);
  EXPECT_TRUE(write_loss_chart(folder / kMetricsFileName, folder / "loss.svg", "my run"));
  const std::string svg = read_file(folder / "loss.svg");
  for (const char* piece : {"my run", "held-out loss", "training loss", "tokens seen", "<circle"}) {
    EXPECT_NE(svg.find(piece), std::string::npos) << piece;
  }
  EXPECT_NE(svg.find("200 steps, 819.20 K tokens; held-out loss 0.040, 1.500 bits per byte"),
            std::string::npos);
}

TEST(LossChart, FewRecordsAreEnough) {
  EXPECT_TRUE(loss_chart({}, "none").ends_with("</svg>\n"));
  EXPECT_TRUE(loss_chart({record_of(1)}, "one").ends_with("</svg>\n"));
  StepRecord without_tokens = record_of(2);
  without_tokens.tokens = 0;
  EXPECT_NE(loss_chart({without_tokens}, "t").find(">step<"), std::string::npos);
}

TEST(LossChart, AMissingFileIsAWarning) {
  const TemporaryFolder folder;
  ::testing::internal::CaptureStderr();
  EXPECT_FALSE(write_loss_chart(folder / "absent", folder / "loss.svg", "x"));
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("no picture"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder / "loss.svg"));
}

}  // namespace
}  // namespace moe::metrics
