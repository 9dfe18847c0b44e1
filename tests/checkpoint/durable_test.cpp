#include "checkpoint/durable.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "checkpoint/support.h"

namespace moe::checkpoint {
namespace {

using testing::TemporaryFolder;

TEST(UnsyncedFile, HoldsItsBytesAndIsSyncedLater) {
  const TemporaryFolder folder;
  const std::string text = "some bytes";
  UnsyncedFile file(folder.path() / "a", std::as_bytes(std::span(text)));
  EXPECT_EQ(read_file(folder.path() / "a"), text);
  UnsyncedFile moved(std::move(file));
  moved.sync();
  EXPECT_EQ(read_file(folder.path() / "a"), text);
  UnsyncedFile(folder.path() / "empty", {}).sync();
  EXPECT_EQ(read_file(folder.path() / "empty"), "");
}

TEST(UnsyncedFile, RefusesAFileThatIsThereAndAFolderThatIsNot) {
  const TemporaryFolder folder;
  const std::string text = "new";
  write_file_atomically(folder.path() / "a", "old");
  EXPECT_THROW(UnsyncedFile(folder.path() / "a", std::as_bytes(std::span(text))), CheckpointError);
  EXPECT_EQ(read_file(folder.path() / "a"), "old");
  EXPECT_THROW(UnsyncedFile(folder.path() / "none/a", {}), CheckpointError);
}

}  // namespace
}  // namespace moe::checkpoint
