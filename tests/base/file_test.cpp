#include "base/file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cstring>
#include <thread>
#include <vector>

#include "base/error.h"
#include "support/temporary_folder.h"

namespace moe {
namespace {

using testing::TemporaryFolder;

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::vector<std::string> names_in(const Path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

/// No file may grow beyond `bytes` in this scope: writes fail as on a full disk.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) : handler_(::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  sighandler_t handler_;
};

template <class Action>
std::string data_error_of(Action&& action) {
  try {
    action();
  } catch (const DataError& error) {
    return error.what();
  }
  return "no DataError";
}

TEST(ReadFile, ReadsAnyBytesAndRespectsTheLimit) {
  const TemporaryFolder folder;
  const std::string all("\0\n\xff" "binary", 9);
  for (const std::string& contents : {std::string(), std::string("x"), all, std::string(70000, 'y')}) {
    write_file_atomically(folder / "f", contents);
    EXPECT_EQ(read_file(folder / "f"), contents);
    EXPECT_EQ(read_file(folder / "f", contents.size()), contents);
  }
  EXPECT_NE(data_error_of([&] { read_file(folder / "f", 69999); }).find("at most 69999 bytes, found 70000"),
            std::string::npos);
}

TEST(ReadFile, WhatIsNoRegularFileIsRefusedWithItsPath) {
  const TemporaryFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  for (const Path& path : {folder / "absent", folder.path(), folder / "pipe", Path("/dev/null")}) {
    EXPECT_NE(data_error_of([&] { read_file(path); }).find(path.string()), std::string::npos);
    EXPECT_NE(data_error_of([&] { MappedFile mapped(path); }).find(path.string()), std::string::npos);
  }
}

TEST(WriteFileAtomically, ReplacesAndLeavesNothingElse) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "f", "old");
  write_file_atomically(folder / "f", "new");
  EXPECT_EQ(read_file(folder / "f"), "new");
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"f"});
}

TEST(WriteFileAtomically, AFullDiskLeavesTheOldFileAndNoOther) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "f", "old");
  {
    const FullDisk full(1000);
    EXPECT_NE(data_error_of([&] { write_file_atomically(folder / "f", std::string(5000, 'x')); })
                  .find("cannot write"),
              std::string::npos);
  }
  EXPECT_EQ(read_file(folder / "f"), "old");
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"f"});
}

TEST(WriteFileAtomically, AFailedRenameLeavesNothing) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "taken" );
  write_file_atomically(folder / "taken" / "inside", "x");
  EXPECT_THROW(write_file_atomically(folder / "taken", "y"), DataError);
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"taken"});
  EXPECT_THROW(write_file_atomically(folder / "absent" / "f", "y"), DataError);
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"taken"});
}

TEST(WriteFileAtomically, AReaderNeverSeesAPartWhileThreadsWrite) {
  const TemporaryFolder folder;
  const std::string contents[] = {std::string(3000, 'a'), std::string(5000, 'b')};
  write_file_atomically(folder / "f", contents[0]);
  std::vector<std::thread> writers;
  for (const std::string& text : contents) {
    writers.emplace_back([&] {
      for (int i = 0; i < 20; ++i) write_file_atomically(folder / "f", text);
    });
  }
  for (int i = 0; i < 200; ++i) {
    const std::string seen = read_file(folder / "f");
    ASSERT_TRUE(seen == contents[0] || seen == contents[1]);
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"f"});
}

TEST(MappedFile, ShowsTheBytesAndMovesWithoutLosingThem) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", "first");
  write_file_atomically(folder / "b", "second");
  write_file_atomically(folder / "empty", "");
  MappedFile a(folder / "a");
  MappedFile b(folder / "b");
  EXPECT_EQ(text_of(a.bytes()), "first");
  MappedFile moved(std::move(a));
  EXPECT_EQ(text_of(moved.bytes()), "first");
  EXPECT_TRUE(a.bytes().empty());  // NOLINT: a moved-from map is empty
  moved = std::move(b);
  EXPECT_EQ(text_of(moved.bytes()), "second");
  EXPECT_EQ(moved.path(), folder / "b");
  EXPECT_TRUE(MappedFile(folder / "empty").bytes().empty());
}

std::string piece_of(const RandomAccessFile& file, std::uint64_t offset, std::size_t count) {
  std::string out(count, '?');
  file.read(offset, std::as_writable_bytes(std::span(out)));
  return out;
}

TEST(RandomAccessFile, ReadsPiecesWhereTheyStandAndMoves) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", "0123456789");
  write_file_atomically(folder / "empty", "");
  RandomAccessFile a(folder / "a");
  EXPECT_EQ(a.size(), 10U);
  EXPECT_EQ(piece_of(a, 3, 4), "3456");
  EXPECT_EQ(piece_of(a, 10, 0), "");
  RandomAccessFile moved(std::move(a));
  EXPECT_EQ(piece_of(moved, 0, 10), "0123456789");
  RandomAccessFile empty(folder / "empty");
  EXPECT_EQ(empty.size(), 0U);
  empty = std::move(moved);
  EXPECT_EQ(piece_of(empty, 9, 1), "9");
}

TEST(RandomAccessFile, PastTheEndIsAnErrorThatNamesFileAndByte) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", "0123456789");
  const RandomAccessFile file(folder / "a");
  std::filesystem::resize_file(folder / "a", 6);  // cut while it is in use
  try {
    piece_of(file, 4, 4);
    ADD_FAILURE() << "read what is not there";
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("a: ended at byte 6, expected 2 more"),
              std::string::npos)
        << error.what();
  }
  EXPECT_THROW(RandomAccessFile(folder / "none"), DataError);
  EXPECT_THROW(RandomAccessFile(folder.path()), DataError);
}

/// A corpus may have more shards than a process may have files by default.
TEST(RandomAccessFile, TheLimitOnOpenFilesIsRaised) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", "x");
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  if (before.rlim_max < 200) GTEST_SKIP() << "the hard limit is " << before.rlim_max;
  const rlimit few{100, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  std::vector<RandomAccessFile> files;
  for (int i = 0; i < 150; ++i) files.emplace_back(folder / "a");
  EXPECT_EQ(piece_of(files.back(), 0, 1), "x");
  files.clear();
  ::setrlimit(RLIMIT_NOFILE, &before);
}

TEST(FileWriter, WritesSmallAndLargePiecesInOrder) {
  const TemporaryFolder folder;
  std::string wanted;
  FileWriter writer(folder / "f");
  for (const std::size_t size : {0U, 1U, 1000U, 1U << 20, 7U, (1U << 20) - 1, 3U << 20, 5U}) {
    const std::string piece(size, static_cast<char>('a' + wanted.size() % 26));
    writer.write(piece);
    wanted += piece;
    EXPECT_EQ(writer.size(), wanted.size());
  }
  writer.finish();
  EXPECT_EQ(read_file(folder / "f"), wanted);
}

TEST(FileWriter, TruncatesAndTheDestructorFlushes) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "f", "something longer");
  { FileWriter(folder / "f").write("short"); }
  EXPECT_EQ(read_file(folder / "f"), "short");
}

TEST(FileWriter, FailuresNameThePath) {
  const TemporaryFolder folder;
  EXPECT_THROW(FileWriter(folder / "absent" / "f"), DataError);
  FileWriter writer(folder / "f");
  const FullDisk full(10);
  writer.write("more than ten bytes");
  EXPECT_NE(data_error_of([&] { writer.finish(); }).find((folder / "f").string()), std::string::npos);
}

}  // namespace
}  // namespace moe
