// What was saved under one layout is read back under every other, element for element.
#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "base/format.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/layout_digest.h"
#include "checkpoint/support.h"

namespace moe::checkpoint {
namespace {

using testing::GlobalTensor;
using testing::Layout;
using testing::TemporaryFolder;

void expect_values(const Checkpoint& checkpoint, const GlobalTensor& tensor, const Slice& slice) {
  std::vector<double> values(static_cast<std::size_t>(slice.numel()));
  const DType wanted = tensor.dtype == DType::I64 ? DType::I64 : DType::F64;
  checkpoint.read(tensor.name, slice, flat_view(values.data(), wanted, slice.numel()));
  for (std::int64_t i = 0; i < slice.numel(); ++i) {
    const double expected =
        testing::value_at(tensor.name, global_index(slice, slice.flat_begin + i));
    double found = values[static_cast<std::size_t>(i)];
    if (wanted == DType::I64) found = static_cast<double>(std::bit_cast<std::int64_t>(found));
    ASSERT_EQ(found, expected) << tensor.name << " " << to_string(slice) << " element " << i;
  }
}

struct Pair {
  Layout saved;
  Layout loaded;
};

class Reshard : public ::testing::TestWithParam<Pair> {};

TEST_P(Reshard, GivesEveryRankItsElementsAndKeepsTheDigests) {
  const TemporaryFolder folder;
  std::vector<GlobalTensor> tensors = testing::sample_tensors();
  tensors.push_back({"experts/w_out", Shape{4, 6, 8, 3}, DType::F32});
  const auto [saved, loaded] = GetParam();
  const WriteReport first = testing::save(folder.path() / "a", tensors, saved);
  const auto checkpoint = open_checkpoint(first.path);
  for (const GlobalTensor& tensor : tensors) {
    std::uint64_t sum = 0;
    for (int rank = 0; rank < loaded.ranks(); ++rank) {
      const Slice slice = testing::slice_of(tensor, loaded, rank);
      expect_values(*checkpoint, tensor, slice);
      std::vector<std::byte> bytes(static_cast<std::size_t>(slice.numel() * size_of(tensor.dtype)));
      const View view = flat_view(bytes.data(), tensor.dtype, slice.numel());
      checkpoint->read(tensor.name, slice, view);
      sum += layout_digest(slice, view);
    }
    EXPECT_EQ(sum, checkpoint->manifest().tensors.at(tensor.name).digest) << tensor.name;
  }
  // And back: saved again under the other layout, the digests are the same.
  const auto again = open_checkpoint(testing::save(folder.path() / "b", tensors, loaded).path);
  for (const auto& [name, tensor] : checkpoint->manifest().tensors) {
    EXPECT_EQ(again->manifest().tensors.at(name).digest, tensor.digest) << name;
  }
}

constexpr Layout kOne{};
INSTANTIATE_TEST_SUITE_P(
    Layouts, Reshard,
    ::testing::Values(Pair{kOne, kOne}, Pair{kOne, {.expert = 4}}, Pair{{.expert = 4}, kOne},
                      Pair{{.expert = 2}, {.tensor = 2}}, Pair{{.tensor = 4}, {.expert = 4}},
                      Pair{{.shards = 3}, {.expert = 2}}, Pair{{.shards = 5}, {.shards = 3}},
                      Pair{{.expert = 2, .tensor = 2}, {.shards = 4}},
                      Pair{{.expert = 2, .shards = 2}, {.expert = 4}},
                      Pair{{.expert = 2, .tensor = 2, .shards = 2}, {.expert = 1, .tensor = 4}},
                      Pair{{.shards = 4, .alignment = 64}, {.expert = 2, .shards = 3}},
                      Pair{{.expert = 4, .shards = 2, .alignment = 32}, {.tensor = 8}},
                      Pair{{.tensor = 8}, {.expert = 4, .tensor = 2}},
                      Pair{{.expert = 4, .tensor = 2}, {.shards = 7, .alignment = 16}},
                      Pair{{.expert = 1, .tensor = 2, .shards = 3}, {.expert = 2, .tensor = 4}}),
    [](const ::testing::TestParamInfo<Pair>& test) {
      const auto name = [](const Layout& l) {
        return format("e{}t{}s{}a{}", l.expert, l.tensor, l.shards, l.alignment);
      };
      return name(test.param.saved) + "_to_" + name(test.param.loaded);
    });

TEST(Reshard, CutsLargeSlicesIntoSeveralFiles) {
  const TemporaryFolder folder;
  const std::vector<GlobalTensor> tensors = testing::sample_tensors();
  WriteOptions options;
  options.file_bytes = 600;
  const auto report = testing::save(folder.path(), tensors, {.expert = 2}, 100, options);
  const auto checkpoint = open_checkpoint(report.path);
  EXPECT_GT(checkpoint->manifest().files.size(), 4U);
  EXPECT_EQ(checkpoint->manifest().files[1].name, "shard_00000_0001.h5");
  for (const GlobalTensor& tensor : tensors) {
    expect_values(*checkpoint, tensor, whole(tensor.shape));
  }
}

TEST(Reshard, ReadsLargeTensorsThroughABoundedWindow) {
  // More than one chunk, and more than a window, cut so that runs are short.
  const TemporaryFolder folder;
  const GlobalTensor tensor{"w", Shape{1, 3, 1024, 1200}, DType::BF16};
  const auto report = testing::save(folder.path(), {tensor}, {.tensor = 2});
  const auto checkpoint = open_checkpoint(report.path);
  Slice column = whole(tensor.shape);
  column.begin[3] = 7;
  column.size.set(3, 3);
  column.flat_begin = 2;
  column.flat_end = column.size.numel() - 1;
  expect_values(*checkpoint, tensor, column);
  expect_values(*checkpoint, tensor, shard(whole(tensor.shape), 3, 1));
  std::vector<BFloat16> all(static_cast<std::size_t>(tensor.shape.numel()));
  checkpoint->read("w", flat_view(all.data(), DType::BF16, tensor.shape.numel()));
  EXPECT_EQ(static_cast<float>(all[12345]), static_cast<float>(testing::value_at("w", 12345)));
  EXPECT_EQ(layout_digest(*checkpoint, "w"), checkpoint->manifest().tensors.at("w").digest);
}

TEST(RoundTrip, KeepsEveryBitOfEveryDTypeAndAllThatIsNoTensor) {
  const TemporaryFolder folder;
  const Path tokenizer = folder.path() / "source.model";
  write_file_atomically(tokenizer, "a tokenizer");
  std::vector<std::uint16_t> bits(65536);
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<std::uint16_t>(i);
  State state;
  state.header.step = 7;
  state.header.states = {{"cursor", R"({"a": [1, 0.1, 18446744073709551615]})"}};
  state.attachments = {{"tokenizer.model", tokenizer}};
  const Slice all = whole(Shape{65536});
  for (const DType dtype : {DType::BF16, DType::F16, DType::U16}) {
    state.tensors.push_back(
        {std::string(to_string(dtype)), all, flat_view(bits.data(), dtype, 65536)});
  }
  for (const DType dtype : {DType::F32, DType::F64, DType::I32, DType::I64, DType::U8}) {
    const std::int64_t count = 65536 * 2 / size_of(dtype);
    state.tensors.push_back(
        {std::string(to_string(dtype)), whole(Shape{count}), flat_view(bits.data(), dtype, count)});
  }
  const auto group = comm::make_self_group();
  const auto report = write(take(state, Staging::Borrow), {.folder = folder.path()}, *group);
  EXPECT_EQ(report.path, folder.path() / "step_00000007");
  const auto checkpoint = open_checkpoint(report.path);
  EXPECT_EQ(checkpoint->step(), 7);
  EXPECT_EQ(checkpoint->state("cursor"), R"({"a":[1,0.1,18446744073709551615]})");
  EXPECT_EQ(checkpoint->metadata("cursor"), checkpoint->state("cursor"));
  EXPECT_EQ(checkpoint->metadata("absent"), std::nullopt);
  EXPECT_THROW(checkpoint->state("absent"), CheckpointError);
  EXPECT_EQ(read_file(checkpoint->attachment("tokenizer.model")), "a tokenizer");
  EXPECT_THROW(checkpoint->attachment("shard_00000.h5"), CheckpointError);
  for (const std::string& name : checkpoint->names()) {
    const TensorInfo& info = checkpoint->info(name);
    std::vector<std::uint16_t> found(65536);
    checkpoint->read(name, flat_view(found.data(), info.dtype, info.shape.numel()));
    EXPECT_EQ(found, bits) << name;
  }
}

TEST(RoundTrip, ACopiedSnapshotDoesNotSeeLaterChanges) {
  const TemporaryFolder folder;
  const auto group = comm::make_self_group();
  std::vector<float> live{1, 2, 3};
  State state;
  state.tensors.push_back({"w", whole(Shape{3}), flat_view(live.data(), DType::F32, 3)});
  Snapshot snapshot = take(state, Staging::Copy);
  live.assign(3, -1.0F);
  state.tensors.clear();
  const auto report = write(std::move(snapshot), {.folder = folder.path()}, *group);
  std::vector<float> found(3);
  open_checkpoint(report.path)->read("w", flat_view(found.data(), DType::F32, 3));
  EXPECT_EQ(found, (std::vector<float>{1, 2, 3}));
}

TEST(RoundTrip, RefusesNamesThatCannotBeStored) {
  State state;
  float value = 0;
  const View view = flat_view(&value, DType::F32, 1);
  state.tensors.push_back({"a b", whole(Shape{1}), view});
  EXPECT_THROW(take(state, Staging::Copy), CheckpointError);
  state.tensors[0] = {"w", whole(Shape{2}), view};
  EXPECT_THROW(take(state, Staging::Copy), ShapeError);
  state.tensors.clear();
  state.attachments = {{"manifest.json", "/dev/null"}};
  EXPECT_THROW(take(state, Staging::Copy), CheckpointError);
}

}  // namespace
}  // namespace moe::checkpoint
