#include "metrics/metrics_file.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/random.h"
#include "metrics/records.h"
#include "support/temporary_folder.h"

namespace moe::metrics {
namespace {

using testing::record_of;
using testing::TemporaryFolder;

std::uint64_t bits_of(double value) { return std::bit_cast<std::uint64_t>(value); }

std::string lines_of(std::initializer_list<std::int64_t> steps) {
  std::string text;
  for (const std::int64_t step : steps) text += metrics_line(record_of(step));
  return text;
}

TEST(MetricsLine, HasExactlyTheKeysOfTheContractInOrder) {
  StepRecord record = record_of(7);
  const auto keys_of = [](const std::string& line) {
    std::vector<std::string> keys;
    const auto parsed = nlohmann::ordered_json::parse(line);
    for (const auto& [key, value] : parsed.items()) keys.push_back(key);
    return keys;
  };
  std::vector<std::string> wanted{"step", "tokens", "loss",  "balance_loss", "z_loss", "grad_norm",
                                  "lr",   "tokens_per_second", "mfu", "step_seconds"};
  EXPECT_EQ(keys_of(metrics_line(record)), wanted);
  record.eval_loss = 2.5;
  wanted.push_back("eval_loss");
  EXPECT_EQ(keys_of(metrics_line(record)), wanted);
  record.eval_bits_per_byte = 1.9;
  wanted.push_back("eval_bits_per_byte");
  EXPECT_EQ(keys_of(metrics_line(record)), wanted);
}

TEST(MetricsLine, IsOneLine) {
  const std::string line = metrics_line(record_of(1));
  EXPECT_EQ(line.find('\n'), line.size() - 1);
}

/// Ten doubles of any exponent and sign, denormals among them.
StepRecord random_record(const Random& random, std::uint64_t index) {
  StepRecord record;
  record.step = static_cast<std::int64_t>(index) + 1;
  record.tokens = static_cast<std::int64_t>(random.bits(20 * index + 11) >> 1);
  double* const fields[] = {&record.loss,      &record.balance_loss, &record.z_loss,
                            &record.grad_norm, &record.lr,           &record.tokens_per_second,
                            &record.mfu,       &record.step_seconds};
  for (std::uint64_t i = 0; i < std::size(fields); ++i) {
    std::uint64_t bits = random.bits(20 * index + i);
    if (i == 0) bits &= ~(std::uint64_t{0x7ff} << 52);  // a denormal
    const auto value = std::bit_cast<double>(bits);
    *fields[i] = std::isfinite(value) ? value : 0.0;
  }
  record.eval_loss = random.normal(20 * index + 12);
  record.eval_bits_per_byte = random.uniform(20 * index + 13);
  return record;
}

TEST(MetricsFile, TenThousandRandomDoublesReadBackBitForBit) {
  const TemporaryFolder folder;
  const Random random(7, "metrics");
  std::string text;
  constexpr std::uint64_t kRecords = 1000;  // of ten doubles each
  for (std::uint64_t i = 0; i < kRecords; ++i) text += metrics_line(random_record(random, i));
  write_file_atomically(folder / "metrics.jsonl", text);
  const std::vector<StepRecord> records = read_metrics(folder / "metrics.jsonl");
  ASSERT_EQ(records.size(), kRecords);
  for (std::uint64_t i = 0; i < kRecords; ++i) {
    const StepRecord wanted = random_record(random, i);
    const StepRecord& got = records[i];
    EXPECT_EQ(got.step, wanted.step);
    EXPECT_EQ(got.tokens, wanted.tokens);
    EXPECT_EQ(bits_of(got.loss), bits_of(wanted.loss));
    EXPECT_EQ(bits_of(got.balance_loss), bits_of(wanted.balance_loss));
    EXPECT_EQ(bits_of(got.z_loss), bits_of(wanted.z_loss));
    EXPECT_EQ(bits_of(got.grad_norm), bits_of(wanted.grad_norm));
    EXPECT_EQ(bits_of(got.lr), bits_of(wanted.lr));
    EXPECT_EQ(bits_of(got.tokens_per_second), bits_of(wanted.tokens_per_second));
    EXPECT_EQ(bits_of(got.mfu), bits_of(wanted.mfu));
    EXPECT_EQ(bits_of(got.step_seconds), bits_of(wanted.step_seconds));
    EXPECT_EQ(bits_of(*got.eval_loss), bits_of(*wanted.eval_loss));
    EXPECT_EQ(bits_of(*got.eval_bits_per_byte), bits_of(*wanted.eval_bits_per_byte));
  }
}

TEST(MetricsFile, NanAndInfinityAreNullAndReadBackAsNan) {
  const TemporaryFolder folder;
  StepRecord record = record_of(1);
  record.loss = std::numeric_limits<double>::quiet_NaN();
  record.grad_norm = std::numeric_limits<double>::infinity();
  const std::string line = metrics_line(record);
  EXPECT_TRUE(nlohmann::json::parse(line)["loss"].is_null());
  write_file_atomically(folder / "m", line);
  const StepRecord back = read_metrics(folder / "m").at(0);
  EXPECT_TRUE(std::isnan(back.loss));
  EXPECT_TRUE(std::isnan(back.grad_norm));
  EXPECT_EQ(back.lr, record.lr);
  EXPECT_FALSE(back.eval_loss.has_value());
}

TEST(MetricsFile, ATornLastLineIsPassedOverAWrongOneIsNamed) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "torn", lines_of({1, 2}) + R"({"step": 3, "tok)");
  EXPECT_EQ(read_metrics(folder / "torn").size(), 2U);
  write_file_atomically(folder / "empty", "");
  EXPECT_TRUE(read_metrics(folder / "empty").empty());
  for (const std::string wrong : {"rubbish\n", "[1]\n", "{}\n", "{\"step\": \"1\"}\n", "\n", "{\"step\": 1.5}\n"}) {
    write_file_atomically(folder / "wrong", lines_of({1}) + wrong + lines_of({3}));
    try {
      read_metrics(folder / "wrong");
      ADD_FAILURE() << wrong;
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find("wrong:2:"), std::string::npos) << error.what();
    }
  }
}

struct KeepRow {
  const char* name;
  std::string before;
  std::int64_t last_step;
  std::string after;
};

TEST(KeepMetricsUntil, DropsWhatTheResumedRunWillWriteAgain) {
  const std::vector<KeepRow> rows{
      {"middle", lines_of({1, 2, 3, 4}), 2, lines_of({1, 2})},
      {"nothing to drop", lines_of({1, 2}), 2, lines_of({1, 2})},
      {"checkpoint beyond the file", lines_of({1, 2}), 9, lines_of({1, 2})},
      {"fresh start", lines_of({1, 2}), 0, ""},
      {"torn end", lines_of({1, 2}) + R"({"step": 3,)", 5, lines_of({1, 2})},
      {"torn end of a whole object", lines_of({1}) + R"({"step": 2})", 5, lines_of({1})},
      {"rubbish in between", lines_of({1}) + "???\n" + lines_of({2}), 5, lines_of({1, 2})},
      {"steps out of order", lines_of({5, 1, 9, 2}), 4, lines_of({1, 2})},
      {"empty", "", 3, ""},
  };
  for (const KeepRow& row : rows) {
    SCOPED_TRACE(row.name);
    const TemporaryFolder folder;
    write_file_atomically(folder / "metrics.jsonl", row.before);
    keep_metrics_until(folder / "metrics.jsonl", row.last_step);
    EXPECT_EQ(read_file(folder / "metrics.jsonl"), row.after);
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
  }
}

TEST(KeepMetricsUntil, AnAbsentFileStaysAbsent) {
  const TemporaryFolder folder;
  keep_metrics_until(folder / "metrics.jsonl", 3);
  EXPECT_FALSE(std::filesystem::exists(folder / "metrics.jsonl"));
}

}  // namespace
}  // namespace moe::metrics
