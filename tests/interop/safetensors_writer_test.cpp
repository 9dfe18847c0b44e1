#include "interop/safetensors_writer.h"

#include <gtest/gtest.h>

#include "base/digest.h"
#include "checkpoint/layout_digest.h"
#include "checkpoint/memory_source.h"
#include "interop/hugging_face_weights.h"
#include "interop/support.h"

namespace moe::interop {
namespace {

using checkpoint::layout_digest;
using checkpoint::MemorySource;
using testing::TemporaryFolder;

std::vector<std::string> names_in(const Path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

MemorySource sample() {
  MemorySource source("sample");
  std::vector<double> values(3000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i % 251);
  source.add("z.weight", Shape{3, 1000}, DType::F32, values);
  source.add("b", Shape{30, 100}, DType::BF16, values);
  source.add("c", Shape{3000}, DType::F16, values);
  source.add("ids", Shape{1}, DType::I64, std::vector<double>{7});
  source.add("scalar", Shape{}, DType::F32, std::vector<double>{0.5});
  source.add("none", Shape{0, 4}, DType::BF16, {});
  return source;
}

void expect_same(const checkpoint::TensorSource& a, const checkpoint::TensorSource& b) {
  ASSERT_EQ(a.names(), b.names());
  for (const std::string& name : a.names()) {
    EXPECT_EQ(a.info(name).shape, b.info(name).shape) << name;
    EXPECT_EQ(a.info(name).dtype, b.info(name).dtype) << name;
    EXPECT_EQ(layout_digest(a, name), layout_digest(b, name)) << name;
  }
}

TEST(SafetensorsWriter, WritesWhatTheReaderReads) {
  const TemporaryFolder folder;
  const MemorySource source = sample();
  EXPECT_EQ(write_hugging_face_weights(source, folder / "deep"),
            (std::vector<std::string>{"model.safetensors"}));
  EXPECT_EQ(names_in(folder / "deep"), (std::vector<std::string>{"model.safetensors"}));
  const HuggingFaceWeights weights(folder / "deep");
  EXPECT_EQ(weights.metadata("format"), "pt");
  expect_same(source, weights);
}

TEST(SafetensorsWriter, LaysFilesOutAsTheReferenceDoes) {
  MemorySource source;
  source.add("b", Shape{2}, DType::BF16, std::vector<double>{1, 2});
  source.add("a", Shape{1}, DType::F16, std::vector<double>{1});
  source.add("n", Shape{1}, DType::I64, std::vector<double>{1});
  source.add("m", Shape{1}, DType::F32, std::vector<double>{1});
  source.add("k", Shape{}, DType::F32, std::vector<double>{1});
  const TemporaryFolder folder;
  write_safetensors(source, folder / "x");
  const std::string bytes = read_file(folder / "x");
  const std::string header = R"({"__metadata__":{"format":"pt"},)"
                             R"("n":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},)"
                             R"("k":{"dtype":"F32","shape":[],"data_offsets":[8,12]},)"
                             R"("m":{"dtype":"F32","shape":[1],"data_offsets":[12,16]},)"
                             R"("b":{"dtype":"BF16","shape":[2],"data_offsets":[16,20]},)"
                             R"("a":{"dtype":"F16","shape":[1],"data_offsets":[20,22]}})";
  EXPECT_EQ(bytes.substr(8, header.size()), header);
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  EXPECT_EQ(length % 8, 0U);
  EXPECT_GE(length, header.size());
  EXPECT_EQ(bytes.substr(8 + header.size(), length - header.size()).find_first_not_of(' '),
            std::string::npos);
  EXPECT_EQ(bytes.size(), 8 + length + 22);
}

TEST(SafetensorsWriter, CutsShardsBySizeAndIndexesThem) {
  const TemporaryFolder folder;
  const MemorySource source = sample();
  ExportOptions options;
  options.shard_bytes = 6010;
  const auto files = write_hugging_face_weights(source, folder.path(), options);
  EXPECT_EQ(files, (std::vector<std::string>{
                       "model-00001-of-00004.safetensors", "model-00002-of-00004.safetensors",
                       "model-00003-of-00004.safetensors", "model-00004-of-00004.safetensors",
                       "model.safetensors.index.json"}));
  EXPECT_EQ(names_in(folder.path()), files);
  expect_same(source, HuggingFaceWeights(folder.path()));
}

TEST(SafetensorsWriter, ConvertsFloatsOnly) {
  const TemporaryFolder folder;
  ExportOptions options;
  options.dtype = DType::BF16;
  write_hugging_face_weights(sample(), folder.path(), options);
  const HuggingFaceWeights weights(folder.path());
  EXPECT_EQ(weights.info("z.weight").dtype, DType::BF16);
  EXPECT_EQ(weights.info("ids").dtype, DType::I64);
  float value = 0;
  Slice last = whole(Shape{3, 1000});
  last.flat_begin = 2999;
  weights.read("z.weight", last, checkpoint::flat_view(&value, DType::F32, 1));
  EXPECT_EQ(value, 2999 % 251);
}

TEST(SafetensorsWriter, NeverMixesWithWeightsThatAreThere) {
  const TemporaryFolder folder;
  write_hugging_face_weights(sample(), folder.path());
  const std::string before = digest_file_128(folder / "model.safetensors");
  EXPECT_THROW(write_hugging_face_weights(sample(), folder.path()), CheckpointError);
  EXPECT_EQ(digest_file_128(folder / "model.safetensors"), before);
}

/// Fails at one tensor, as a source whose own file breaks would.
class FailingSource : public MemorySource {
 protected:
  void read_slice(const std::string& name, const checkpoint::TensorInfo& info, const Slice& slice,
                  const View& out) const override {
    if (name == "z.weight") throw CheckpointError("broken on the way");
    MemorySource::read_slice(name, info, slice, out);
  }
};

TEST(SafetensorsWriter, LeavesNothingBehindWhenTheSourceFails) {
  const TemporaryFolder folder;
  FailingSource source;
  for (const char* name : {"a", "b", "z.weight"}) {
    source.add(name, Shape{4}, DType::F32, std::vector<double>{1, 2, 3, 4});
  }
  ExportOptions options;
  options.shard_bytes = 16;
  EXPECT_THROW(write_hugging_face_weights(source, folder.path(), options), CheckpointError);
  EXPECT_TRUE(names_in(folder.path()).empty());
}

}  // namespace
}  // namespace moe::interop
