#include "checkpoint/layout_digest.h"

#include <gtest/gtest.h>

#include <utility>

#include "checkpoint/memory_source.h"

namespace moe::checkpoint {
namespace {

std::uint64_t digest(const Shape& shape, DType dtype, const std::vector<double>& values) {
  MemorySource source;
  source.add("x", shape, dtype, values);
  return layout_digest(source, "x");
}

TEST(LayoutDigest, IsTheSumOverAnySlicing) {
  const Shape shape{4, 2, 6, 5};
  std::vector<double> values(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i * 7 % 31);
  for (const DType dtype : {DType::F32, DType::BF16, DType::F64, DType::U8}) {
    MemorySource source;
    source.add("x", shape, dtype, values);
    std::uint64_t sum = 0;
    Placement placement;
    placement.split(0, Role::Expert).split(2, Role::Hidden);
    for (int part = 0; part < 12; ++part) {
      RoleShares shares;
      shares[Role::Expert] = {2, part / 6};
      shares[Role::Hidden] = {2, part / 3 % 2};
      const Slice slice = shard(place("x", shape, placement, shares), 3, part % 3);
      std::vector<std::byte> bytes(static_cast<std::size_t>(slice.numel() * size_of(dtype)));
      const View view = flat_view(bytes.data(), dtype, slice.numel());
      source.read("x", slice, view);
      sum += layout_digest(slice, view);
    }
    EXPECT_EQ(sum, layout_digest(source, "x"));
  }
}

TEST(LayoutDigest, SeesEveryKindOfMistake) {
  const std::vector<double> values{1, 2, 3, 4, 0, 0};
  const Shape shape{6};
  const std::uint64_t right = digest(shape, DType::F32, values);
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::vector<double> changed = values;
    changed[i] += 1;
    EXPECT_NE(digest(shape, DType::F32, changed), right);
    for (std::size_t j = 0; j < i; ++j) {
      std::vector<double> swapped = values;
      std::swap(swapped[i], swapped[j]);
      EXPECT_EQ(digest(shape, DType::F32, swapped) == right, values[i] == values[j]);
    }
  }
  EXPECT_NE(digest(Shape{5}, DType::F32, {1, 2, 3, 4, 0}), right) << "a lost zero";
  EXPECT_EQ(digest(Shape{0}, DType::F32, {}), 0U);
}

// The values come from a few lines of Python that follow docs/formats/checkpoint.md.
TEST(LayoutDigest, IsPartOfTheFormatAndNeverChanges) {
  EXPECT_EQ(digest(Shape{4}, DType::F32, {0, 1, -2.5, 1e10}), 0x60435de039849717ULL);
  EXPECT_EQ(digest(Shape{3}, DType::BF16, {0, 1, -2.5}), 0xc80e31a7cdabf18fULL);
}

}  // namespace
}  // namespace moe::checkpoint
