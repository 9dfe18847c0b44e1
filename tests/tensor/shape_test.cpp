#include "tensor/shape.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/error.h"

namespace moe {
namespace {

TEST(Shape, CountsElementsOfAnyRank) {
  EXPECT_EQ(Shape{}.rank(), 0);
  EXPECT_EQ(Shape{}.numel(), 1);
  EXPECT_EQ((Shape{5}).numel(), 5);
  EXPECT_EQ((Shape{2, 3, 4}).numel(), 24);
  EXPECT_EQ((Shape{2, 0, 4}).numel(), 0);
  EXPECT_EQ((Shape{1, 1, 1, 1, 1, 7}).numel(), 7);
}

TEST(Shape, RefusesMoreElementsThanMemoryCouldHold) {
  const std::int64_t big = std::int64_t{1} << 31;
  EXPECT_EQ((Shape{big, 1 << 28}).numel(), std::int64_t{1} << 59);
  EXPECT_THROW((Shape{big, 1 << 29}).numel(), ShapeError);
  EXPECT_THROW((Shape{big, big, big, big}).numel(), ShapeError);
}

TEST(Shape, NegativeIndicesCountFromTheEnd) {
  const Shape shape{2, 3, 4};
  EXPECT_EQ(shape[0], 2);
  EXPECT_EQ(shape[-1], 4);
  EXPECT_EQ(shape[-3], 2);
  EXPECT_THROW(shape[3], InternalError);
  EXPECT_THROW(shape[-4], InternalError);
  EXPECT_THROW(Shape{}[0], InternalError);
}

TEST(Shape, SetChangesOneDim) {
  Shape shape{2, 3};
  shape.set(-1, 7);
  EXPECT_EQ(shape, (Shape{2, 7}));
  EXPECT_THROW(shape.set(2, 1), InternalError);
  EXPECT_THROW(shape.set(0, -1), InternalError);
}

TEST(Shape, RefusesNegativeSizesAndTooManyDims) {
  EXPECT_THROW((Shape{2, -1}), InternalError);
  EXPECT_THROW((Shape{1, 1, 1, 1, 1, 1, 1}), InternalError);
}

TEST(Shape, EqualityNeedsTheSameRank) {
  EXPECT_EQ((Shape{2, 3}), (Shape{2, 3}));
  EXPECT_NE((Shape{2, 3}), (Shape{3, 2}));
  EXPECT_NE((Shape{2}), (Shape{2, 1}));
  EXPECT_NE(Shape{}, (Shape{1}));
  EXPECT_EQ(to_string(Shape{2, 0, 4}), "[2, 0, 4]");
  EXPECT_EQ(to_string(Shape{}), "[]");
}

TEST(Shape, FromASpan) {
  const std::vector<std::int64_t> dims{4, 5};
  EXPECT_EQ(Shape(std::span<const std::int64_t>(dims)), (Shape{4, 5}));
}

}  // namespace
}  // namespace moe
