// A save is there as a whole or not at all, whatever goes wrong on the way.
#include "checkpoint/writer.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <mutex>

#include "base/error.h"
#include "base/format.h"
#include "checkpoint/folder.h"
#include "checkpoint/resume.h"
#include "checkpoint/support.h"

namespace moe::checkpoint {
namespace {

using testing::TemporaryFolder;
using Names = std::vector<std::string>;

constexpr const char* kOld = "step_00000100";
constexpr const char* kNew = "step_00000200";

TEST(Writer, LeavesStepFolderAndPointerAndReportsThem) {
  const TemporaryFolder folder;
  const auto report =
      testing::save(folder.path() / "deep/er", testing::sample_tensors(), {.expert = 2});
  EXPECT_EQ(testing::names_in(folder.path() / "deep/er"), (Names{"latest", kOld}));
  EXPECT_EQ(read_file(folder.path() / "deep/er/latest"), "step_00000100\n");
  EXPECT_EQ(testing::names_in(report.path),
            (Names{"manifest.json", "shard_00000.h5", "shard_00001.h5"}));
  std::uintmax_t bytes = 0;
  for (const char* shard : {"shard_00000.h5", "shard_00001.h5"}) {
    bytes += std::filesystem::file_size(report.path / shard);
  }
  EXPECT_EQ(static_cast<std::uintmax_t>(report.bytes), bytes);
}

TEST(Writer, ReplacesAFolderOfTheSameStep) {
  const TemporaryFolder folder;
  testing::save(folder.path(), {{"old", Shape{3}}}, {});
  testing::save(folder.path(), {{"new", Shape{3}}}, {});
  EXPECT_EQ(testing::names_in(folder.path()), (Names{"latest", kOld}));
  EXPECT_EQ(open_checkpoint(folder.path() / kOld)->names(), (Names{"new"}));
}

TEST(Writer, SavesByManyRanksAreTheSameAsByOne) {
  const TemporaryFolder folder;
  const auto tensors = testing::sample_tensors();
  const auto one = open_checkpoint(testing::save(folder.path() / "1", tensors, {}).path);
  const auto four =
      open_checkpoint(testing::save(folder.path() / "4", tensors, {.expert = 4}).path);
  EXPECT_EQ(one->names(), four->names());
  for (const std::string& name : one->names()) {
    EXPECT_EQ(one->manifest().tensors.at(name).digest, four->manifest().tensors.at(name).digest);
    EXPECT_EQ(one->info(name), four->info(name));
  }
}

/// Saves step 200 on two ranks with `change` applied to each rank's state; returns every rank's
/// failure.
std::vector<std::string> failures_of(
    const Path& folder, const std::function<void(int rank, State&, WriteOptions&)>& change) {
  std::vector<std::string> failures(2);
  ::moe::testing::run_ranks(2, [&](comm::Group& group) {
    testing::RankState rank(testing::sample_tensors(), {.expert = 2}, group.rank());
    rank.state.header.step = 200;
    WriteOptions options;
    options.folder = folder;
    change(group.rank(), rank.state, options);
    try {
      write(take(rank.state, Staging::Borrow), options, group);
    } catch (const CheckpointError& error) {
      failures[static_cast<std::size_t>(group.rank())] = error.what();
    }
  });
  return failures;
}

struct Mistake {
  const char* name;
  std::function<void(int, State&, WriteOptions&)> change;
  const char* expected;
};

TEST(Writer, RefusesStatesThatDoNotAddUpAndLeavesNothing) {
  const Mistake mistakes[] = {
      {"a rank forgets a tensor",
       [](int rank, State& state, WriteOptions&) {
         if (rank == 1) state.tensors.erase(state.tensors.begin());
       },
       "tensor experts/w_in [4, 2, 8, 6] is not held exactly once: element 192 is in no slice"},
      {"replicas saved twice",
       [](int, State& state, WriteOptions&) {
         static const float kOnes[2] = {1, 1};
         state.tensors.push_back({"twice", whole(Shape{2}), flat_view(kOnes, DType::F32, 2)});
       },
       "element 0 is in two slices"},
      {"shapes differ",
       [](int rank, State& state, WriteOptions&) {
         if (rank == 1) state.tensors[2].slice.global = Shape{8};
       },
       "tensor norm: f32 [8] here, f32 [7]"},
      {"attributes differ",
       [](int rank, State& state, WriteOptions&) {
         if (rank == 1) state.tensors[2].attributes["kind"] = "norm";
       },
       "attributes differ"},
      {"the cursor differs",
       [](int rank, State& state, WriteOptions&) {
         if (rank == 1) state.header.states["cursor"] = "1";
       },
       "rank 1 has another state cursor"},
      {"the step differs", [](int rank, State& state, WriteOptions&) { state.header.step += rank; },
       "another step"},
      {"a state is not JSON",
       [](int, State& state, WriteOptions&) { state.header.states["cursor"] = "{"; },
       "state cursor: not valid JSON"},
      {"one rank cannot write",
       [](int rank, State&, WriteOptions& options) {
         if (rank == 1) {
           options.observer = [](std::string_view event) {
             if (event.starts_with("sync shard")) throw std::runtime_error("I/O error");
           };
         }
       },
       "rank 1: I/O error"},
      {"rank 0 cannot commit",
       [](int rank, State&, WriteOptions& options) {
         if (rank == 0) {
           options.observer = [](std::string_view event) {
             if (event == "commit") throw std::runtime_error("no rename");
           };
         }
       },
       "rank 0: no rename"},
  };
  const TemporaryFolder folder;
  testing::save(folder.path(), testing::sample_tensors(), {.expert = 2});
  const std::string before = read_file(folder.path() / kOld / kManifestName);
  for (const Mistake& mistake : mistakes) {
    const auto failures = failures_of(folder.path(), mistake.change);
    EXPECT_EQ(failures[0], failures[1]) << mistake.name;
    EXPECT_NE(failures[0].find(mistake.expected), std::string::npos)
        << mistake.name << ": " << failures[0];
    EXPECT_EQ(testing::names_in(folder.path()), (Names{"latest", kOld})) << mistake.name;
    EXPECT_EQ(read_file(folder.path() / "latest"), "step_00000100\n");
  }
  EXPECT_EQ(read_file(folder.path() / kOld / kManifestName), before);
  EXPECT_NO_THROW(open_checkpoint(folder.path() / kOld));
  // And once nothing is wrong any more, the next save succeeds.
  EXPECT_EQ(failures_of(folder.path(), [](int, State&, WriteOptions&) {}), (Names{"", ""}));
  EXPECT_NO_THROW(open_checkpoint(folder.path() / kNew));
}

std::vector<testing::GlobalTensor> megabytes() {
  return {{"a", Shape{300000}, DType::F32}, {"b", Shape{2, 1, 200000, 1}, DType::F32}};
}

/// Runs `body` in a child, so that limits and signals touch nothing else; returns its wait status.
int in_child(const std::function<void()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    body();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

/// One rank, no threads: what a forked child may do.
void save_alone(const Path& folder, std::int64_t step, const Observer& observer = {}) {
  testing::RankState rank(megabytes(), {}, 0);
  rank.state.header.step = step;
  const auto group = comm::make_self_group();
  WriteOptions options;
  options.folder = folder;
  options.file_bytes = 700000;
  options.observer = observer;
  write(take(rank.state, Staging::Borrow), options, *group);
}

TEST(Writer, AFileSizeLimitIsAnErrorAndLeavesNothing) {
  const TemporaryFolder folder;
  save_alone(folder.path(), 100);
  const int status = in_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{500000, 500000};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(2);
    try {
      save_alone(folder.path(), 200);
    } catch (const CheckpointError& error) {
      const std::string text = error.what();
      ::_exit(text.find("shard_00000.h5: cannot reserve") != std::string::npos ? 7 : 3);
    }
  });
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 7);
  EXPECT_EQ(testing::names_in(folder.path()), (Names{"latest", kOld}));
  EXPECT_NO_THROW(open_checkpoint(folder.path() / kOld));
}

TEST(Writer, AFullDiskIsAnErrorAtEveryFractionAndLeavesNothing) {
  const TemporaryFolder folder;
  if (::mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=8m") != 0) {
    GTEST_SKIP() << "mounting a tmpfs is not permitted here";
  }
  save_alone(folder.path(), 100);
  int failed = 0;
  for (int free_kib = 16; free_kib <= 2800; free_kib += 160) {
    const auto space = std::filesystem::space(folder.path());
    const auto filler = space.available - static_cast<std::uintmax_t>(free_kib) * 1024;
    write_file_atomically(folder.path() / "filler", std::string(filler, 'x'));
    try {
      save_alone(folder.path(), 200);
    } catch (const CheckpointError& error) {
      ++failed;
      EXPECT_NE(std::string(error.what()).find("No space left"), std::string::npos) << error.what();
    }
    std::filesystem::remove(folder.path() / "filler");
    EXPECT_EQ(testing::names_in(folder.path()), (Names{"latest", kOld})) << free_kib;
  }
  EXPECT_EQ(failed, 18);
  EXPECT_NO_THROW(open_checkpoint(folder.path() / kOld));
  save_alone(folder.path(), 200);
  EXPECT_NO_THROW(open_checkpoint(folder.path() / kNew));
  EXPECT_EQ(::umount(folder.path().c_str()), 0);
}

/// The events of a save, in order.
Names events_of_a_save() {
  const TemporaryFolder folder;
  Names events;
  save_alone(folder.path(), 100, [&](std::string_view event) { events.emplace_back(event); });
  return events;
}

TEST(Writer, KilledAtAnyPointItLeavesTheOldOrTheNewOne) {
  const Names events = events_of_a_save();
  ASSERT_GT(events.size(), 15U);
  int old_left = 0;
  for (std::size_t kill_at = 0; kill_at < events.size(); ++kill_at) {
    const TemporaryFolder folder;
    save_alone(folder.path(), 100);
    const int status = in_child([&] {
      std::size_t count = 0;
      save_alone(folder.path(), 200, [&](std::string_view) {
        if (count++ == kill_at) ::raise(SIGKILL);
      });
    });
    ASSERT_TRUE(WIFSIGNALED(status)) << events[kill_at];
    const Found found = find_latest_valid(folder.path());
    ASSERT_NE(found.checkpoint, nullptr) << events[kill_at];
    EXPECT_TRUE(found.rejected.empty()) << "nothing half-written is ever seen as a step";
    const bool committed = events[kill_at] == "tidy up";
    EXPECT_EQ(found.checkpoint->step(), committed ? 200 : 100) << events[kill_at];
    old_left += committed ? 0 : 1;
    // What is left over goes at the next start, and saving works again.
    clean_leftovers(folder.path());
    for (const std::string& name : testing::names_in(folder.path())) {
      EXPECT_EQ(name.find(".tmp"), std::string::npos) << name;
    }
    save_alone(folder.path(), 200);
    EXPECT_EQ(find_latest_valid(folder.path()).checkpoint->step(), 200);
  }
  EXPECT_EQ(old_left, static_cast<int>(events.size()) - 1);
}

}  // namespace
}  // namespace moe::checkpoint
