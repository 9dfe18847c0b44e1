#include "metrics/event_file.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <set>

#include "base/clock.h"
#include "base/error.h"
#include "metrics/event_reader.h"
#include "support/temporary_folder.h"

namespace moe::metrics {
namespace {

using testing::DecodedEvent;
using testing::TemporaryFolder;

std::vector<DecodedEvent> read(const Path& path) { return testing::decode_events(read_file(path)); }

TEST(EventFile, BeginsWithVersionAndSessionStart) {
  const TemporaryFolder folder;
  const double before = wall_seconds();
  EventFile file(folder / "tensorboard", 11);
  const std::vector<DecodedEvent> events = read(file.path());  // flushed without close
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].file_version, "brain.Event:2");
  EXPECT_GE(events[0].wall_time, before);
  EXPECT_LE(events[0].wall_time, wall_seconds());
  EXPECT_TRUE(events[1].session_start);
  EXPECT_EQ(events[1].step, 11);
}

TEST(EventFile, ScalarsOfAnyStepAndTagReadBack) {
  const TemporaryFolder folder;
  EventFile file(folder.path(), 0);
  const std::string long_tag(300, 'x');
  const std::int64_t steps[] = {0, 1, 127, 128, 16384, std::int64_t{1} << 40};
  for (const std::int64_t step : steps) {
    file.add(step, {{"train/loss", 0.1 * static_cast<double>(step)}, {long_tag, -1.5}});
  }
  file.add(3, {});
  file.close();
  const std::vector<DecodedEvent> events = read(file.path());
  ASSERT_EQ(events.size(), 2 + std::size(steps) + 1);
  for (std::size_t i = 0; i < std::size(steps); ++i) {
    const DecodedEvent& event = events[2 + i];
    EXPECT_EQ(event.step, steps[i]);
    EXPECT_EQ(event.scalars.at("train/loss"),
              static_cast<float>(0.1 * static_cast<double>(steps[i])));
    EXPECT_EQ(event.scalars.at(long_tag), -1.5F);
  }
  EXPECT_TRUE(events.back().scalars.empty());
}

TEST(EventFile, ValuesThatAreNotFiniteAreKept) {
  const TemporaryFolder folder;
  EventFile file(folder.path(), 0);
  file.add(1, {{"nan", std::nan("")}, {"inf", std::numeric_limits<double>::infinity()}});
  file.close();
  const DecodedEvent event = read(file.path()).back();
  EXPECT_TRUE(std::isnan(event.scalars.at("nan")));
  EXPECT_TRUE(std::isinf(event.scalars.at("inf")));
}

TEST(EventFile, EachStartIsANewFileThatSortsLast) {
  const TemporaryFolder folder;
  std::set<std::string> names;
  std::string last;
  for (int start = 0; start < 4; ++start) {
    const EventFile file(folder.path(), start);
    const std::string name = file.path().filename().string();
    EXPECT_TRUE(name.starts_with("events.out.tfevents."));
    EXPECT_GT(name, last);
    EXPECT_TRUE(names.insert(name).second);
    last = name;
  }
}

TEST(EventFile, AFolderThatCannotBeMadeIsADataError) {
  const TemporaryFolder folder;
  std::ofstream(folder / "tensorboard") << "a file";
  EXPECT_THROW(EventFile(folder / "tensorboard", 0), DataError);
}

}  // namespace
}  // namespace moe::metrics
