#include "checkpoint/inspect.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "checkpoint/support.h"

namespace moe::checkpoint {
namespace {

using testing::TemporaryFolder;

TEST(ListCheckpoints, GivesEveryStepAndItsFault) {
  const TemporaryFolder run;
  const Path folder = run.path() / "checkpoints";
  WriteOptions options;
  options.retention.keep_last = 9;
  for (const std::int64_t step : {10, 20, 30}) {
    testing::save(folder, testing::sample_tensors(), {.expert = 2}, step, options);
  }
  std::filesystem::resize_file(folder / "step_00000020/shard_00001.h5", 5);
  const Path flipped = folder / "step_00000030/shard_00000.h5";
  std::string bytes = read_file(flipped);
  bytes[bytes.size() / 2] ^= 1;
  std::filesystem::remove(flipped);
  write_file_atomically(flipped, bytes);

  const auto quick = list_checkpoints(run.path(), false);
  ASSERT_EQ(quick.size(), 3U);
  EXPECT_EQ(quick[0].fault, "");
  EXPECT_EQ(quick[0].ranks, 2);
  EXPECT_EQ(quick[0].tensors, 7);
  EXPECT_GT(quick[0].bytes, 4096);
  EXPECT_NE(quick[1].fault.find("shard_00001.h5: expected"), std::string::npos);
  EXPECT_EQ(quick[2].fault, "") << "sizes alone do not show a flipped bit";
  EXPECT_NE(list_checkpoints(folder, true)[2].fault.find("damaged"), std::string::npos);
  EXPECT_THROW(list_checkpoints(run.path() / "absent", false), CheckpointError);
}

TEST(VerifyContents, ReadsEveryPieceThroughHdf5) {
  const TemporaryFolder folder;
  const auto report = testing::save(folder.path(), testing::sample_tensors(), {.expert = 2});
  const auto checkpoint = open_checkpoint(report.path);
  EXPECT_NO_THROW(verify_contents(*checkpoint));
  for (const bool piece : {true, false}) {
    Manifest altered = checkpoint->manifest();
    TensorRecord& tensor = altered.tensors.at("norm");
    if (piece) {
      ++tensor.pieces[1].digest;
    } else {
      ++tensor.digest;
    }
    try {
      verify_contents(Checkpoint(report.path, altered, {}));
      FAIL() << "a wrong digest was accepted";
    } catch (const CheckpointError& error) {
      EXPECT_NE(std::string(error.what()).find("tensor norm"), std::string::npos);
    }
  }
}

TEST(CompareTensors, FindsDifferencesAcrossLayouts) {
  const TemporaryFolder folder;
  const std::vector<testing::GlobalTensor> tensors{
      {"same", Shape{4, 2, 8, 3}}, {"shape", Shape{6}}, {"dtype", Shape{4}}, {"first", Shape{2}}};
  const std::vector<testing::GlobalTensor> others{{"same", Shape{4, 2, 8, 3}},
                                                  {"shape", Shape{2, 3}},
                                                  {"dtype", Shape{4}, DType::F64},
                                                  {"second", Shape{2}}};
  const auto a = open_checkpoint(testing::save(folder.path() / "a", tensors, {.expert = 4}).path);
  const auto b = open_checkpoint(testing::save(folder.path() / "b", others, {.tensor = 2}).path);
  const auto differences = compare_tensors(*a, *b);
  ASSERT_EQ(differences.size(), 4U);
  EXPECT_EQ(differences[0].reason, "dtype f32 and f64");
  EXPECT_EQ(differences[0].elements, 0) << "the values are the same";
  EXPECT_EQ(differences[1].reason, "only in the first");
  EXPECT_EQ(differences[2].reason, "only in the second");
  EXPECT_EQ(differences[3].reason, "shape [6] and [2, 3]");
  EXPECT_TRUE(compare_tensors(*a, *a).empty());
  EXPECT_EQ(compare_headers(a->header(), b->header()), (std::vector<std::string>{"world"}));
}

TEST(CompareTensors, SaysHowManyElementsDifferAndByHowMuch) {
  const TemporaryFolder folder;
  const auto group = comm::make_self_group();
  std::vector<float> values{1, 2, 3, std::nanf("")};
  const auto saved = [&](const char* name) {
    State state;
    state.tensors.push_back({"w", whole(Shape{4}), flat_view(values.data(), DType::F32, 4)});
    WriteOptions options;
    options.folder = folder.path() / name;
    return open_checkpoint(write(take(state, Staging::Borrow), options, *group).path);
  };
  const auto a = saved("a");
  values[1] += 0.5F;
  values[2] -= 0.25F;
  const auto differences = compare_tensors(*a, *saved("b"));
  ASSERT_EQ(differences.size(), 1U);
  EXPECT_EQ(differences[0].reason, "values");
  EXPECT_EQ(differences[0].elements, 2);
  EXPECT_EQ(differences[0].largest, 0.5);
}

}  // namespace
}  // namespace moe::checkpoint
