#include "metrics/append_file.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "support/temporary_folder.h"

namespace moe::metrics {
namespace {

using testing::TemporaryFolder;

TEST(AppendFile, ExtendsWhatIsThere) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "log", "one\n");
  AppendFile file(folder / "log", AppendFile::Mode::Extend);
  file.append("two\n");
  EXPECT_EQ(read_file(folder / "log"), "one\n");  // still buffered
  file.flush();
  EXPECT_EQ(read_file(folder / "log"), "one\ntwo\n");
  file.append("three\n");
  file.close();
  file.close();
  EXPECT_EQ(read_file(folder / "log"), "one\ntwo\nthree\n");
}

TEST(AppendFile, TheDestructorWritesWhatIsBuffered) {
  const TemporaryFolder folder;
  { AppendFile(folder / "log", AppendFile::Mode::Extend).append("kept"); }
  EXPECT_EQ(read_file(folder / "log"), "kept");
}

TEST(AppendFile, ManyBytesArriveInOrder) {
  const TemporaryFolder folder;
  std::string wanted;
  AppendFile file(folder / "log", AppendFile::Mode::CreateNew);
  for (int i = 0; i < 50000; ++i) {
    const std::string piece = std::to_string(i) + ",";
    file.append(piece);
    wanted += piece;
  }
  file.close();
  EXPECT_EQ(read_file(folder / "log"), wanted);
}

TEST(AppendFile, FailuresNameThePath) {
  const TemporaryFolder folder;
  EXPECT_THROW(AppendFile(folder / "absent" / "log", AppendFile::Mode::Extend), DataError);
  write_file_atomically(folder / "log", "");
  EXPECT_THROW(AppendFile(folder / "log", AppendFile::Mode::CreateNew), DataError);
  AppendFile full("/dev/full", AppendFile::Mode::Extend);
  full.append("x");
  try {
    full.flush();
    ADD_FAILURE() << "a full disk was not noticed";
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("/dev/full"), std::string::npos);
  }
}

}  // namespace
}  // namespace moe::metrics
