#include "checkpoint/resume.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/random.h"
#include "checkpoint/checkpoint_config.h"
#include "checkpoint/folder.h"
#include "checkpoint/support.h"

namespace moe::checkpoint {
namespace {

using testing::TemporaryFolder;
using Steps = std::vector<std::int64_t>;

void save_steps(const Path& folder, std::initializer_list<std::int64_t> steps) {
  WriteOptions options;
  options.retention.keep_last = 99;
  for (const std::int64_t step : steps) {
    testing::save(folder, {{"w", Shape{3}}}, {}, step, options);
  }
}

void break_step(const Path& folder, std::int64_t step) {
  std::filesystem::resize_file(folder / step_name(step) / "shard_00000.h5", 10);
}

TEST(FolderNames, AreRecognisedExactly) {
  EXPECT_EQ(step_name(100), "step_00000100");
  EXPECT_EQ(step_name(123456789), "step_123456789");
  EXPECT_EQ(step_from_name("step_00000100"), 100);
  EXPECT_EQ(step_from_name("step_123456789"), 123456789);
  for (const char* bad :
       {"", "step_", "step_100", "step_0000010x", "step_-0000100", "step_000000100",
        "step_00000100.tmp-1", "latest", "step_99999999999999999999"}) {
    EXPECT_EQ(step_from_name(bad), std::nullopt) << bad;
  }
  EXPECT_TRUE(is_leftover_name("step_00000100.tmp-0123"));
  EXPECT_TRUE(is_leftover_name("latest.tmp-99"));
  for (const char* bad : {"step_00000100", "mine.tmp-1", "step_1.tmp-1", ".tmp-1"}) {
    EXPECT_FALSE(is_leftover_name(bad)) << bad;
  }
}

TEST(CleanLeftovers, RemovesOnlyWhatSavesLeave) {
  const TemporaryFolder folder;
  for (const char* name : {"step_00000100", "step_00000200.tmp-ab", "notes.tmp-1"}) {
    std::filesystem::create_directories(folder.path() / name / "inside");
  }
  std::ofstream(folder.path() / "latest.tmp-12") << "x";
  EXPECT_EQ(clean_leftovers(folder.path()),
            (std::vector<std::string>{"latest.tmp-12", "step_00000200.tmp-ab"}));
  EXPECT_EQ(testing::names_in(folder.path()),
            (std::vector<std::string>{"notes.tmp-1", "step_00000100"}));
  EXPECT_TRUE(clean_leftovers(folder.path() / "absent").empty());
}

TEST(FindLatestValid, SkipsWhatIsDamagedAndIgnoresThePointer) {
  const TemporaryFolder folder;
  save_steps(folder.path(), {9, 100, 20});
  std::ofstream(folder.path() / "latest") << "";
  std::filesystem::create_directory(folder.path() / "step_00000300.tmp-1");
  std::filesystem::create_directory(folder.path() / "step_00000200");
  break_step(folder.path(), 100);
  const Found found = find_latest_valid(folder.path());
  ASSERT_NE(found.checkpoint, nullptr);
  EXPECT_EQ(found.checkpoint->step(), 20);
  ASSERT_EQ(found.rejected.size(), 2U);
  EXPECT_NE(found.rejected[0].reason.find("step_00000200/manifest.json"), std::string::npos);
  EXPECT_NE(found.rejected[1].reason.find("expected"), std::string::npos);
}

TEST(ResolveResume, FollowsThePolicy) {
  const TemporaryFolder run;
  const Path folder = run.path() / "checkpoints";
  EXPECT_EQ(resolve_resume("auto", folder).checkpoint, nullptr);
  EXPECT_EQ(resolve_resume("never", folder).checkpoint, nullptr);
  EXPECT_THROW(resolve_resume("latest", folder), CheckpointError);
  EXPECT_THROW(resolve_resume(run.path().string(), folder), CheckpointError);
  save_steps(folder, {10, 20});
  EXPECT_EQ(resolve_resume("auto", folder).checkpoint->step(), 20);
  EXPECT_EQ(resolve_resume("latest", folder).checkpoint->step(), 20);
  EXPECT_EQ(resolve_resume("never", folder).checkpoint, nullptr);
  const Path other = "nowhere";
  for (const Path& path : {run.path(), folder, folder / "step_00000020", folder / ""}) {
    EXPECT_EQ(resolve_resume(path.string(), other).checkpoint->step(), 20) << path;
  }
  EXPECT_EQ(resolve_resume((folder / "step_00000010/").string(), other).checkpoint->step(), 10);
  EXPECT_THROW(resolve_resume((folder / "step_00000030").string(), other), CheckpointError);
  break_step(folder, 20);
  EXPECT_THROW(resolve_resume((folder / "step_00000020").string(), other), CheckpointError)
      << "a step that was named is never replaced by another";
  break_step(folder, 10);
  EXPECT_EQ(resolve_resume("auto", folder).checkpoint, nullptr);
  EXPECT_EQ(resolve_resume("auto", folder).rejected.size(), 2U);
  EXPECT_THROW(resolve_resume("latest", folder), CheckpointError);
}

TEST(Retention, KeepsTheNewestAndTheMilestones) {
  const Retention two{.keep_last = 2, .keep_every = {}};
  EXPECT_EQ(steps_to_remove({}, two), Steps{});
  EXPECT_EQ(steps_to_remove({5, 1}, two), Steps{});
  EXPECT_EQ(steps_to_remove({30, 10, 20}, two), (Steps{10}));
  const Retention hundreds{.keep_last = 1, .keep_every = 100};
  EXPECT_EQ(steps_to_remove({0, 100, 150, 200, 250}, hundreds), (Steps{150}));
}

TEST(Retention, NeverLosesTheNewestInRandomHistories) {
  const Random random(1, "retention");
  std::uint64_t counter = 0;
  const auto below = [&](std::int64_t bound) {
    return static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(bound), counter++));
  };
  for (int history = 0; history < 1000; ++history) {
    const Retention retention{1 + below(4),
                              below(2) == 0 ? std::optional<std::int64_t>{} : 1 + below(40)};
    Steps kept;
    Steps all;
    std::int64_t step = 0;
    for (int save = 0; save < 12; ++save) {
      step += 1 + below(20);
      kept.push_back(step);
      all.push_back(step);
      for (const std::int64_t removed : steps_to_remove(kept, retention)) {
        ASSERT_EQ(std::erase(kept, removed), 1U);
      }
      ASSERT_EQ(kept.back(), step);
      const auto wanted =
          std::min<std::size_t>(all.size(), static_cast<std::size_t>(retention.keep_last));
      ASSERT_GE(kept.size(), wanted);
      for (std::size_t i = 0; i < wanted; ++i) {
        ASSERT_NE(std::ranges::find(kept, all[all.size() - 1 - i]), kept.end());
      }
      for (const std::int64_t old : all) {
        const bool milestone = retention.keep_every && old % *retention.keep_every == 0;
        ASSERT_TRUE(!milestone || std::ranges::find(kept, old) != kept.end());
      }
    }
  }
}

TEST(Retention, DamagedFoldersNeitherCountNorGo) {
  const TemporaryFolder folder;
  save_steps(folder.path(), {10, 20, 30, 40});
  break_step(folder.path(), 20);
  break_step(folder.path(), 40);
  EXPECT_EQ(apply_retention(folder.path(), {.keep_last = 1, .keep_every = {}}), (Steps{10}));
  EXPECT_EQ(list_steps(folder.path()), (Steps{20, 30, 40}));
}

TEST(Retention, RunsAfterEachSave) {
  const TemporaryFolder folder;
  WriteOptions options;
  options.retention = {.keep_last = 2, .keep_every = 30};
  WriteReport report;
  for (const std::int64_t step : {10, 20, 30, 40, 50, 60}) {
    report = testing::save(folder.path(), {{"w", Shape{3}}}, {}, step, options);
  }
  EXPECT_EQ(list_steps(folder.path()), (Steps{30, 50, 60}));
  EXPECT_EQ(report.removed, (Steps{40}));
}

}  // namespace
}  // namespace moe::checkpoint
