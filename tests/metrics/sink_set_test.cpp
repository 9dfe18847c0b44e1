#include "metrics/sink_set.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "metrics/event_reader.h"
#include "metrics/metrics_file.h"
#include "metrics/records.h"
#include "metrics/sink_registry.h"
#include "support/temporary_folder.h"

namespace moe::metrics {
namespace {

using testing::record_of;
using testing::TemporaryFolder;
using Names = std::vector<std::string>;

SinkContext context_of(const TemporaryFolder& folder, std::ostream& console) {
  SinkContext context;
  context.folder = folder.path();
  context.total_steps = 10;
  context.console = &console;
  return context;
}

std::vector<testing::DecodedEvent> all_events(const Path& folder) {
  std::vector<Path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
  std::ranges::sort(files);
  std::vector<testing::DecodedEvent> events;
  for (const Path& file : files) {
    for (auto& event : testing::decode_events(read_file(file))) events.push_back(std::move(event));
  }
  return events;
}

std::size_t count_of(const std::string& text, const std::string& piece) {
  std::size_t count = 0;
  for (std::size_t at = text.find(piece); at != std::string::npos; at = text.find(piece, at + 1)) {
    ++count;
  }
  return count;
}

TEST(SinkSet, WritesToEverySinkOfTheRegistry) {
  const TemporaryFolder folder;
  std::ostringstream console;
  SinkSet sinks(context_of(folder, console));
  EXPECT_EQ(sinks.names(), (Names{"console", "jsonl", "tensorboard"}));
  for (std::int64_t step = 1; step <= 10; ++step) {
    StepRecord record = record_of(step);
    if (step == 5) record.eval_loss = 2.25, record.eval_bits_per_byte = 1.75;
    record.experts = {expert_load({.layer = 1, .routed_E = {1, 3}, .dropped = 1, .tokens = 4})};
    sinks.write(record);
  }
  sinks.close();
  EXPECT_EQ(read_metrics(folder / "metrics.jsonl").size(), 10U);
  EXPECT_EQ(count_of(console.str(), "\n"), 11U);  // and the evaluation's line
  const auto events = all_events(folder / "tensorboard");
  ASSERT_EQ(events.size(), 12U);
  const auto& scalars = events[6].scalars;  // step 5
  EXPECT_EQ(scalars.at("train/loss"), static_cast<float>(record_of(5).loss));
  EXPECT_EQ(scalars.at("eval/loss"), 2.25F);
  EXPECT_EQ(scalars.at("eval/bits_per_byte"), 1.75F);
  EXPECT_EQ(scalars.at("experts_load_max_over_mean/layer_01"), 1.5F);
  EXPECT_EQ(scalars.at("experts_dropped_share/layer_01"), 0.25F);
  EXPECT_EQ(scalars.at("experts_dead/layer_01"), 0.0F);
  EXPECT_TRUE(scalars.contains("experts_router_entropy/layer_01"));
}

TEST(SinkSet, TheConfigSwitchesSinksOff) {
  for (const SinkEntry& entry : sink_registry()) {
    const TemporaryFolder folder;
    std::ostringstream console;
    SinkContext context = context_of(folder, console);
    for (auto& [name, on] : context.config.sinks) on = name == entry.name;
    SinkSet sinks(context);
    EXPECT_EQ(sinks.names(), Names{entry.name});
    sinks.write(record_of(1));
    sinks.close();
    EXPECT_EQ(std::filesystem::exists(folder / "metrics.jsonl"), entry.name == std::string("jsonl"));
    EXPECT_EQ(std::filesystem::exists(folder / "tensorboard"),
              entry.name == std::string("tensorboard"));
    EXPECT_EQ(!console.str().empty(), entry.name == std::string("console"));
  }
}

TEST(SinkSet, TheIntervalThinsAllButJsonl) {
  const TemporaryFolder folder;
  std::ostringstream console;
  SinkContext context = context_of(folder, console);
  context.total_steps = 11;
  context.config.interval = 4;
  SinkSet sinks(context);
  for (std::int64_t step = 1; step <= 11; ++step) {
    StepRecord record = record_of(step);
    if (step == 6) record.eval_loss = 2.0;
    sinks.write(record);
  }
  sinks.close();
  EXPECT_EQ(read_metrics(folder / "metrics.jsonl").size(), 11U);
  // 1, 4, 6 (evaluated), 8, 11 (last).
  EXPECT_EQ(count_of(console.str(), "step  1/11"), 1U);
  EXPECT_EQ(count_of(console.str(), "tok/s"), 5U);
  const auto events = all_events(folder / "tensorboard");
  std::vector<std::int64_t> steps;
  for (const auto& event : events) {
    if (event.scalars.contains("train/loss")) steps.push_back(event.step);
  }
  EXPECT_EQ(steps, (std::vector<std::int64_t>{1, 4, 8}));
}

TEST(SinkSet, AResumedRunContinuesItsFiles) {
  const TemporaryFolder folder;
  std::ostringstream console;
  SinkContext context = context_of(folder, console);
  {
    SinkSet first(context);
    for (std::int64_t step = 1; step <= 7; ++step) first.write(record_of(step));
  }
  context.resume_step = 5;
  {
    SinkSet second(context);
    for (std::int64_t step = 6; step <= 8; ++step) second.write(record_of(step));
  }
  std::vector<std::int64_t> steps;
  for (const StepRecord& record : read_metrics(folder / "metrics.jsonl")) steps.push_back(record.step);
  EXPECT_EQ(steps, (std::vector<std::int64_t>{1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder / "tensorboard"), {}), 2);
  // TensorBoard is told that steps from 6 on of the first file are void.
  std::vector<std::int64_t> starts;
  for (const auto& event : all_events(folder / "tensorboard")) {
    if (event.session_start) starts.push_back(event.step);
  }
  EXPECT_EQ(starts, (std::vector<std::int64_t>{0, 6}));
}

TEST(SinkSet, ASinkThatCannotOpenIsNamedAndTheOthersGoOn) {
  const TemporaryFolder folder;
  std::ofstream(folder / "tensorboard") << "in the way";
  std::filesystem::create_directory(folder / "metrics.jsonl");
  std::ostringstream console;
  ::testing::internal::CaptureStderr();
  SinkSet sinks(context_of(folder, console));
  sinks.write(record_of(1));
  sinks.close();
  const std::string warnings = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(count_of(console.str(), "\n"), 1U);
  EXPECT_EQ(count_of(warnings, "tensorboard is switched off"), 1U) << warnings;
  EXPECT_EQ(count_of(warnings, "jsonl is switched off"), 1U) << warnings;
}

TEST(SinkSet, ADiskThatFillsUpEndsASinkWithOneWarning) {
  const TemporaryFolder folder;
  std::ostringstream console;
  SinkContext context = context_of(folder, console);
  context.config.sinks["tensorboard"] = false;
  SinkSet sinks(context);
  sinks.write(record_of(1));
  const auto written = std::filesystem::file_size(folder / "metrics.jsonl");

  // No file may grow further: writes fail as on a full disk.
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = ::signal(SIGXFSZ, SIG_IGN);
  ::testing::internal::CaptureStderr();
  const std::string captured = [&] {
    const rlimit full{written, before.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &full), 0);
    for (std::int64_t step = 2; step <= 4; ++step) sinks.write(record_of(step));
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    return ::testing::internal::GetCapturedStderr();
  }();
  ::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(sinks.names(), Names{"console"});
  EXPECT_EQ(count_of(console.str(), "\n"), 4U);
  EXPECT_EQ(read_metrics(folder / "metrics.jsonl").size(), 1U);
  // The warning itself may be cut short by the limit, as standard error is a file here.
  EXPECT_LE(count_of(captured, "switched off"), 1U);
}

class FailingSink : public MetricSink {
 public:
  void write(const StepRecord&) override { throw std::runtime_error("no {} luck"); }
};

TEST(SinkSet, AnyExceptionIsSurvivedAndSaidOnce) {
  SinkSet sinks;
  sinks.add("lottery", std::make_unique<FailingSink>());
  ::testing::internal::CaptureStderr();
  sinks.message("harmless");
  for (int i = 0; i < 3; ++i) sinks.write(record_of(1));
  const std::string warnings = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(count_of(warnings, "lottery is switched off for this run: no {} luck"), 1U) << warnings;
  EXPECT_TRUE(sinks.names().empty());
}

TEST(SinkSet, WithoutSinksTellsNobody) {
  SinkSet sinks;
  sinks.write(record_of(1));
  sinks.message("hello");
  sinks.close();
  EXPECT_TRUE(sinks.names().empty());
}

}  // namespace
}  // namespace moe::metrics
