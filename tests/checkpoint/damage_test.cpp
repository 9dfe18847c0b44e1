// Damaged checkpoints are refused before HDF5 sees them, and the next older one is taken.
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/random.h"
#include "checkpoint/resume.h"
#include "checkpoint/support.h"

namespace moe::checkpoint {
namespace {

using testing::TemporaryFolder;

class Damage : public ::testing::Test {
 protected:
  Damage() {
    tensors_.push_back({"large", Shape{4, 2, 40, 60}, DType::F32});
    write_file_atomically(tokenizer_, "a tokenizer model");
    WriteOptions options;
    options.retention.keep_last = 9;
    testing::save(folder_.path(), tensors_, {.expert = 2}, 100, options);
    testing::save(folder_.path(), tensors_, {.expert = 2}, 200, options);
    for (const std::string& name : testing::names_in(newest_)) {
      files_.push_back({newest_ / name, read_file(newest_ / name)});
    }
  }

  struct File {
    Path path;
    std::string contents;
  };

  static void put(const Path& path, const std::string& contents) {
    std::ofstream(path, std::ios::binary) << contents;
  }

  /// Opening fails, names the file, and HDF5 was never asked.
  void expect_refused(const Path& file, const std::string& what) {
    int opened = 0;
    OpenOptions options;
    options.on_open_shard = [&](const Path&) { ++opened; };
    try {
      open_checkpoint(newest_, options);
      ADD_FAILURE() << what << " was accepted";
    } catch (const CheckpointError& error) {
      ++refused_;
      EXPECT_NE(std::string(error.what()).find(file.filename().string()), std::string::npos)
          << what << ": " << error.what();
    }
    EXPECT_EQ(opened, 0);
  }

  void expect_older_taken() {
    const Found found = find_latest_valid(folder_.path());
    ASSERT_NE(found.checkpoint, nullptr);
    EXPECT_EQ(found.checkpoint->step(), 100);
    ASSERT_EQ(found.rejected.size(), 1U);
    EXPECT_EQ(found.rejected[0].path, newest_);
  }

  TemporaryFolder folder_;
  Path newest_ = folder_.path() / "step_00000200";
  Path tokenizer_ = folder_.path() / "tokenizer";
  std::vector<testing::GlobalTensor> tensors_ = testing::sample_tensors();
  std::vector<File> files_;
  int refused_ = 0;
};

TEST_F(Damage, UndamagedItLoads) {
  EXPECT_NO_THROW(open_checkpoint(newest_));
  ASSERT_EQ(files_.size(), 3U);  // manifest, two shards
  EXPECT_GT(files_[1].contents.size(), 40000U);
}

TEST_F(Damage, EveryTruncationIsRefused) {
  for (const File& file : files_) {
    for (std::size_t size = 0; size < file.contents.size(); size += 4096) {
      put(file.path, file.contents.substr(0, size));
      expect_refused(file.path, "cut at " + std::to_string(size));
    }
    put(file.path, file.contents + "x");
    expect_refused(file.path, "one byte more");
    put(file.path, file.contents);
  }
  EXPECT_GT(refused_, 25);
  std::filesystem::resize_file(files_[1].path, 4096);
  expect_older_taken();
}

TEST_F(Damage, EveryOneOf2000BitFlipsIsRefused) {
  const Random random(1, "flips");
  for (std::uint64_t i = 0; i < 2000; ++i) {
    const File& file = files_[random.below(files_.size(), 3 * i)];
    std::string damaged = file.contents;
    const std::size_t at = random.below(damaged.size(), 3 * i + 1);
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << random.below(8, 3 * i + 2)));
    put(file.path, damaged);
    expect_refused(file.path, "flip at byte " + std::to_string(at));
    put(file.path, file.contents);
  }
  EXPECT_EQ(refused_, 2000);
}

TEST_F(Damage, EveryZeroedBlockIsRefused) {
  for (const File& file : files_) {
    for (std::size_t at = 0; at < file.contents.size(); at += 4096) {
      std::string damaged = file.contents;
      const std::size_t count = std::min<std::size_t>(4096, damaged.size() - at);
      damaged.replace(at, count, count, '\0');
      if (damaged == file.contents) continue;
      put(file.path, damaged);
      expect_refused(file.path, "zeroes at " + std::to_string(at));
    }
    put(file.path, file.contents);
  }
  EXPECT_GT(refused_, 20);
}

TEST_F(Damage, SwappedMixedAndMissingFilesAreRefused) {
  std::filesystem::rename(files_[1].path, newest_ / "aside");
  expect_refused(files_[1].path, "missing shard");
  std::filesystem::create_directory(files_[1].path);
  expect_refused(files_[1].path, "a folder instead of a shard");
  std::filesystem::remove(files_[1].path);
  std::filesystem::rename(files_[2].path, files_[1].path);
  std::filesystem::rename(newest_ / "aside", files_[2].path);
  expect_refused("shard_0000", "swapped shards");
  put(files_[2].path, files_[2].contents);
  put(files_[1].path, files_[1].contents);
  const Path older = folder_.path() / "step_00000100";
  put(files_[0].path, read_file(older / kManifestName));
  expect_refused(kManifestName, "the manifest of another step");
  std::filesystem::remove(files_[0].path);
  expect_refused(kManifestName, "no manifest");
  expect_older_taken();
}

TEST_F(Damage, AShardOfAnotherStepIsRefused) {
  testing::GlobalTensor& large = tensors_.back();
  large.dtype = DType::F64;  // other numbers, so that the shards differ
  testing::save(folder_.path(), tensors_, {.expert = 2}, 300);
  put(files_[1].path, read_file(folder_.path() / "step_00000300" / "shard_00000.h5"));
  expect_refused(files_[1].path, "a shard of step 300");
}

TEST_F(Damage, AllRanksHearOfTheRankThatFoundIt) {
  std::filesystem::resize_file(files_[2].path, 100);
  std::vector<std::string> reasons(3);
  ::moe::testing::run_ranks(3, [&](comm::Group& group) {
    try {
      open_checkpoint(newest_, {.group = &group});
    } catch (const CheckpointError& error) {
      reasons[static_cast<std::size_t>(group.rank())] = error.what();
    }
    const Found found = find_latest_valid(folder_.path(), {.group = &group});
    ASSERT_NE(found.checkpoint, nullptr);
    EXPECT_EQ(found.checkpoint->step(), 100);
  });
  for (const std::string& reason : reasons) {
    EXPECT_EQ(reason, reasons[0]);
    EXPECT_NE(reason.find("shard_00001.h5: expected"), std::string::npos) << reason;
  }
}

TEST_F(Damage, VerificationIsSharedOutAndReportsProgress) {
  std::vector<std::int64_t> totals(2, 0);
  ::moe::testing::run_ranks(2, [&](comm::Group& group) {
    OpenOptions options;
    options.group = &group;
    options.progress = [&](std::int64_t done, std::int64_t total) {
      EXPECT_LE(done, total);
      totals[static_cast<std::size_t>(group.rank())] = total;
    };
    open_checkpoint(newest_, options);
  });
  EXPECT_EQ(totals[0] + totals[1],
            static_cast<std::int64_t>(files_[1].contents.size() + files_[2].contents.size()));
  EXPECT_GT(totals[0], 0);
  EXPECT_GT(totals[1], 0);
}

}  // namespace
}  // namespace moe::checkpoint
