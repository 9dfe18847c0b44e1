#include "checkpoint/shard_image.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/format.h"
#include "checkpoint/tensor_source.h"

namespace moe::checkpoint {
namespace {

struct Row {
  const char* name;
  std::vector<std::int64_t> elements;  ///< of each dataset, f32
};

constexpr std::int64_t kChunk = std::int64_t{1} << 18;  // f32 of a chunk

std::vector<Row> rows() {
  return {{"one element", {1}},
          {"whole chunks", {kChunk, 4 * kChunk}},
          // The worst a dataset can do: nearly a whole chunk of zeros behind it.
          {"last chunks nearly empty", std::vector<std::int64_t>(40, kChunk + 1)},
          {"a chunk less one", std::vector<std::int64_t>(10, kChunk - 1)},
          {"many small ones", std::vector<std::int64_t>(3000, 3)},
          {"many of a kilobyte", std::vector<std::int64_t>(1000, 256)},
          {"a large one", {20 * kChunk + 7}}};
}

FileImage build(const Row& row, const std::vector<float>& values, std::int64_t& bytes, FileImage spent = {}) {
  bytes = 0;
  for (const std::int64_t count : row.elements) bytes += ShardImage::bytes_of(DType::F32, count);
  ShardImage image(bytes, std::move(spent));
  for (std::size_t i = 0; i < row.elements.size(); ++i) {
    image.add(format("layers.{}.attention.query_projection.weight.first_moment", i),
              flat_view(values.data(), DType::F32, row.elements[i]));
  }
  return image.finish();
}

// A second allocation would hold two images at once.
TEST(ShardImage, TakesItsMemoryOnce) {
  const std::vector<float> values(static_cast<std::size_t>(21 * kChunk), 1.0F);
  constexpr std::int64_t kSmallThings = std::int64_t{1} << 16;
  for (const Row& row : rows()) {
    std::int64_t bytes = 0;
    const FileImage file = build(row, values, bytes);
    EXPECT_EQ(static_cast<std::int64_t>(file.capacity()), bytes + kSmallThings) << row.name;
    EXPECT_LE(file.bytes().size(), file.capacity()) << row.name;
  }
}

TEST(ShardImage, UsesSpentMemoryWhereItIsEnough) {
  const std::vector<float> values(static_cast<std::size_t>(5 * kChunk), 1.0F);
  std::int64_t bytes = 0;
  FileImage large = build({"", {5 * kChunk}}, values, bytes);
  const void* memory = large.bytes().data();
  FileImage small = build({"", {2 * kChunk}}, values, bytes, std::move(large));
  EXPECT_EQ(small.bytes().data(), memory);
  const FileImage larger = build({"", {3 * kChunk}}, values, bytes, std::move(small));
  EXPECT_EQ(larger.capacity(), static_cast<std::size_t>(bytes) + (std::size_t{1} << 16));
}

}  // namespace
}  // namespace moe::checkpoint
