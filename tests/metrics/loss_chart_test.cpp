#include "metrics/loss_chart.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <sstream>

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

/// "M1.0 2.0L3.0 4.0" of every curve of a colour.
std::vector<std::vector<std::pair<double, double>>> curves(const std::string& svg,
                                                           const std::string& color) {
  std::vector<std::vector<std::pair<double, double>>> all;
  const std::string open = "<path d=\"";
  for (std::size_t at = svg.find(open); at != std::string::npos; at = svg.find(open, at + 1)) {
    const std::size_t end = svg.find('>', at);
    if (svg.substr(at, end - at).find("stroke=\"" + color) == std::string::npos) continue;
    std::string path =
        svg.substr(at + open.size(), svg.find('"', at + open.size()) - at - open.size());
    std::replace_if(
        path.begin(), path.end(), [](char c) { return c == 'M' || c == 'L'; }, ' ');
    std::istringstream numbers(path);
    all.emplace_back();
    for (double x = 0, y = 0; numbers >> x >> y;) all.back().emplace_back(x, y);
  }
  return all;
}

/// A centred mean leaves a straight line where it is; at the end it looks back only.
TEST(LossChart, SmoothingMovesNothingSideways) {
  std::vector<StepRecord> records;
  for (std::int64_t step = 1; step <= 240; ++step) {
    records.push_back(record_of(step));
    records.back().loss = 10.0 - 0.03 * static_cast<double>(step);
  }
  const auto found = curves(loss_chart(records, "line"), "#2563eb");
  ASSERT_GE(found.size(), 2U);
  const auto& raw = found[0];
  const auto& smooth = found[1];
  ASSERT_EQ(raw.size(), smooth.size());
  ASSERT_GT(raw.size(), 100U);
  const double half_pixel = 0.5;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    EXPECT_EQ(raw[i].first, smooth[i].first);
    const bool end = i + 5 > raw.size();
    EXPECT_NEAR(raw[i].second, smooth[i].second, end ? 10 * half_pixel : half_pixel / 2) << i;
  }
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
