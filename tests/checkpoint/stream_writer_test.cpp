#include "checkpoint/stream_writer.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/error.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/inspect.h"
#include "checkpoint/layout_digest.h"
#include "checkpoint/support.h"

namespace moe::checkpoint {
namespace {

using testing::sample_tensors;
using testing::TemporaryFolder;
using testing::value_at;
using ::testing::HasSubstr;

MemorySource sample_source() {
  MemorySource source;
  for (const auto& [name, shape, dtype] : sample_tensors()) {
    std::vector<double> values;
    for (std::int64_t i = 0; i < shape.numel(); ++i) values.push_back(value_at(name, i));
    source.add(name, shape, dtype, values);
  }
  return source;
}

Header sample_header() {
  Header header;
  header.world = {{"size", 1}};
  header.config = "name: test\n";
  header.states = {{"origin", R"({"from":"elsewhere"})"}};
  return header;
}

void expect_same(const TensorSource& a, const TensorSource& b) {
  ASSERT_EQ(a.names(), b.names());
  for (const std::string& name : a.names()) {
    EXPECT_EQ(a.info(name).shape, b.info(name).shape);
    EXPECT_EQ(a.info(name).dtype, b.info(name).dtype);
    EXPECT_EQ(layout_digest(a, name), layout_digest(b, name)) << name;
  }
}

std::string refusal(const std::function<void()>& body) {
  try {
    body();
  } catch (const CheckpointError& error) {
    return error.what();
  }
  return "";
}

TEST(StreamWriter, WritesWhatOpensAndVerifies) {
  const TemporaryFolder folder;
  const MemorySource source = sample_source();
  const Path step = folder.path() / "step_00000000";
  const Manifest manifest =
      write_streamed(source, sample_header(), {{"tokenizer.model", "abc"}, {"empty", ""}}, step);
  const auto opened = open_checkpoint(step);
  EXPECT_EQ(opened->manifest(), manifest);
  expect_same(source, *opened);
  verify_contents(*opened);
  EXPECT_EQ(opened->state("origin"), R"({"from":"elsewhere"})");
  EXPECT_EQ(read_file(opened->attachment("tokenizer.model")), "abc");
  EXPECT_EQ(opened->manifest().files.size(), 1U);
}

TEST(StreamWriter, CutsTensorsWhereverFilesEnd) {
  const MemorySource source = sample_source();
  for (const std::int64_t bytes : {61, 400, 1000, 1 << 20}) {
    const TemporaryFolder folder;
    const Path step = folder.path() / "step_00000000";
    write_streamed(source, sample_header(), {}, step, {.file_bytes = bytes});
    const auto opened = open_checkpoint(step);
    expect_same(source, *opened);
    verify_contents(*opened);
    EXPECT_EQ(opened->manifest().files.size() > 1, bytes < 1 << 20) << bytes;
  }
}

TEST(StreamWriter, ConvertsFloatsAndLeavesIntegers) {
  const TemporaryFolder folder;
  const MemorySource source = sample_source();
  const Path step = folder.path() / "step_00000000";
  write_streamed(source, sample_header(), {}, step, {.window = {.dtype = DType::BF16}});
  const auto opened = open_checkpoint(step);
  EXPECT_EQ(opened->info("norm").dtype, DType::BF16);
  EXPECT_EQ(opened->info("router.bias").dtype, DType::BF16);
  EXPECT_EQ(opened->info("counters").dtype, DType::I64);
  for (const std::string& name : source.names()) {
    const std::int64_t count = source.info(name).shape.numel();
    std::vector<double> a(static_cast<std::size_t>(count));
    std::vector<double> b = a;
    if (name == "counters") continue;
    source.read(name, flat_view(a.data(), DType::F64, count));
    opened->read(name, flat_view(b.data(), DType::F64, count));
    EXPECT_EQ(a, b) << name;  // the values fit bf16
  }
}

TEST(StreamWriter, TellsProgressThatAddsUpAndMayEndTheSave) {
  const MemorySource source = sample_source();
  std::int64_t total = 0;
  for (const std::string& name : source.names()) {
    total += source.info(name).shape.numel() * size_of(source.info(name).dtype);
  }
  const TemporaryFolder folder;
  std::int64_t done = 0;
  write_streamed(source, sample_header(), {}, folder.path() / "step_00000000",
                 {.file_bytes = 64, .progress = [&](std::int64_t bytes) { done += bytes; }});
  EXPECT_EQ(done, total);
  const auto stop = [](std::int64_t) { throw CheckpointError("enough"); };
  EXPECT_EQ(refusal([&] {
              write_streamed(source, sample_header(), {}, folder.path() / "step_00000001",
                             {.file_bytes = 64, .progress = stop});
            }),
            "enough");
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "step_00000001" / kManifestName));
}

TEST(StreamWriter, RefusesNumbersThatAreNoneByNameAndElement) {
  for (const double bad : {std::nan(""), HUGE_VAL}) {
    MemorySource source = sample_source();
    source.add("norm", Shape{7}, DType::F32, std::vector<double>{1, 2, 3, bad, 5, 6, 7});
    const TemporaryFolder folder;
    const Path step = folder.path() / "step_00000000";
    EXPECT_THAT(refusal([&] {
                  write_streamed(source, sample_header(), {}, step,
                                 {.window = {.require_finite = true}});
                }),
                ::testing::AllOf(HasSubstr("'norm'"), HasSubstr("element 3")));
    EXPECT_FALSE(std::filesystem::exists(step / kManifestName));
  }
}

TEST(StreamWriter, NamesThePlaceInTheShardItReads) {
  const TemporaryFolder folder;
  MemorySource source = sample_source();
  source.add("norm", Shape{7}, DType::F32, std::vector<double>{1, 2, 3, 4, 5, std::nan(""), 7});
  const Path step = folder.path() / "step_00000000";
  write_streamed(source, sample_header(), {}, step, {.file_bytes = 16});
  const auto opened = open_checkpoint(step);
  const std::string first = opened->place_of("norm", 0);
  const std::string sixth = opened->place_of("norm", 5);
  EXPECT_THAT(first, HasSubstr(".h5: tensor 'norm'"));
  EXPECT_NE(first, sixth);
  EXPECT_THAT(refusal([&] {
                write_streamed(*opened, sample_header(), {}, folder.path() / "step_00000001",
                               {.window = {.require_finite = true}});
              }),
              HasSubstr(sixth));
}

TEST(StreamWriter, RefusesAFolderThatIsThere) {
  const TemporaryFolder folder;
  EXPECT_THAT(refusal([&] { write_streamed(sample_source(), sample_header(), {}, folder.path()); }),
              HasSubstr("there already"));
}

TEST(StreamWriter, RefusesNamesThatACheckpointCannotHave) {
  const TemporaryFolder folder;
  MemorySource source;
  source.add("a b", Shape{1}, DType::F32, std::vector<double>{1});
  EXPECT_THAT(refusal([&] { write_streamed(source, {}, {}, folder.path() / "a"); }),
              HasSubstr("'a b'"));
  EXPECT_THAT(refusal([&] {
                write_streamed(MemorySource(), {}, {{"../x", ""}}, folder.path() / "b");
              }),
              HasSubstr("'../x'"));
}

}  // namespace
}  // namespace moe::checkpoint
