#include "run/pending_folder.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "base/error.h"
#include "support/temporary_folder.h"

namespace moe::run {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::TemporaryFolder;

std::vector<std::string> names_in(const Path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

std::string refusal(const std::function<void()>& body) {
  try {
    body();
  } catch (const CheckpointError& error) {
    return error.what();
  }
  return "";
}

TEST(PendingFolder, AppearsWhenItIsCommitted) {
  const TemporaryFolder folder(true);
  {
    PendingFolder pending(folder / "out");
    write_file_atomically(pending.path() / "a", "1");
    EXPECT_FALSE(std::filesystem::exists(folder / "out"));
    EXPECT_TRUE(pending.path().filename().string().starts_with(".out.tmp-"));
    pending.commit();
  }
  EXPECT_THAT(names_in(folder.path()), ::testing::ElementsAre("out"));
  EXPECT_EQ(read_file(folder / "out" / "a"), "1");
}

TEST(PendingFolder, LeavesNothingUnlessCommitted) {
  const TemporaryFolder folder(true);
  {
    PendingFolder pending(folder / "out");
    write_file_atomically(pending.path() / "a", "1");
  }
  EXPECT_THAT(names_in(folder.path()), IsEmpty());
}

TEST(PendingFolder, RefusesWhatExistsButForAnEmptyFolder) {
  const TemporaryFolder folder(true);
  write_file_atomically(folder / "file", "1");
  std::filesystem::create_directories(folder / "full" / "x");
  std::filesystem::create_directory(folder / "empty");
  std::filesystem::create_symlink("nowhere", folder / "link");
  for (const char* name : {"file", "full", "full/", "link"}) {
    EXPECT_THAT(refusal([&] { PendingFolder(folder / name); }), HasSubstr("exists already")) << name;
  }
  PendingFolder pending(folder / "empty/");
  pending.commit();
  EXPECT_TRUE(std::filesystem::is_directory(folder / "empty"));
}

TEST(PendingFolder, NeverReplacesWhatCameMeanwhile) {
  const TemporaryFolder folder(true);
  PendingFolder pending(folder / "out");
  std::filesystem::create_directories(folder / "out" / "precious");
  EXPECT_THAT(refusal([&] { pending.commit(); }), HasSubstr("rename into place"));
  EXPECT_TRUE(std::filesystem::exists(folder / "out" / "precious"));
}

TEST(PendingFolder, RemovesWhatAnInterruptedRunLeft) {
  const TemporaryFolder folder(true);
  std::filesystem::create_directories(folder / ".out.tmp-0123" / "checkpoints");
  std::filesystem::create_directories(folder / ".other.tmp-0123");
  PendingFolder pending(folder / "out");
  EXPECT_FALSE(std::filesystem::exists(folder / ".out.tmp-0123"));
  EXPECT_TRUE(std::filesystem::exists(folder / ".other.tmp-0123"));
}

TEST(PendingFolder, LeavesAloneWhoIsStillAtWork) {
  const TemporaryFolder folder(true);
  PendingFolder first(folder / "out");
  PendingFolder second(folder / "out");
  EXPECT_TRUE(std::filesystem::exists(first.path()));
  second.commit();
  write_file_atomically(second.target() / "a", "1");
  EXPECT_THAT(refusal([&] { first.commit(); }), HasSubstr("rename into place"));
}

TEST(PendingFolder, CreatesParents) {
  const TemporaryFolder folder(true);
  PendingFolder pending(folder / "a/b/c/");
  pending.commit();
  EXPECT_TRUE(std::filesystem::is_directory(folder / "a/b/c"));
}

}  // namespace
}  // namespace moe::run
