#include "nn/forward_context.h"

#include "base/error.h"
#include "support/context_test.h"

namespace moe::nn {
namespace {

class KeyValueCacheTest : public testing::ContextTest {};

/// [rows, 1, 2]; every row holds `first + row` and its negative.
Tensor rows(double first, std::int64_t count) {
  std::vector<double> values;
  for (std::int64_t r = 0; r < count; ++r) {
    values.push_back(first + static_cast<double>(r));
    values.push_back(-first - static_cast<double>(r));
  }
  return Tensor::from(values, {count, 1, 2}, DType::F64);
}

std::vector<double> firsts(const Tensor& tensor) {
  std::vector<double> all;
  for (std::int64_t r = 0; r < tensor.dim(0); ++r)
    all.push_back(tensor.to_vector()[static_cast<std::size_t>(2 * r)]);
  return all;
}

using Numbers = std::vector<double>;

TEST_F(KeyValueCacheTest, ReturnsThePastThenTheFreshOfEverySequence) {
  KeyValueCache cache(1, 2, 5);
  EXPECT_EQ(cache.length(), 0);
  EXPECT_EQ(cache.batch(), 2);
  EXPECT_EQ(cache.capacity(), 5);
  // Two rows of each sequence, then one, then two: full.
  KeyValueCache::Pair pair = cache.append(0, rows(10, 4), rows(110, 4));
  EXPECT_EQ(firsts(pair.key), (Numbers{10, 11, 12, 13}));
  EXPECT_EQ(firsts(pair.value), (Numbers{110, 111, 112, 113}));
  cache.advance(2);
  pair = cache.append(0, rows(20, 2), rows(120, 2));
  EXPECT_EQ(firsts(pair.key), (Numbers{10, 11, 20, 12, 13, 21}));
  EXPECT_EQ(firsts(pair.value), (Numbers{110, 111, 120, 112, 113, 121}));
  cache.advance(1);
  pair = cache.append(0, rows(30, 4), rows(130, 4));
  EXPECT_EQ(firsts(pair.key), (Numbers{10, 11, 20, 30, 31, 12, 13, 21, 32, 33}));
  EXPECT_EQ(cache.length(), 3) << "only advance() makes a pass part of the past";
}

TEST_F(KeyValueCacheTest, APassThatWasNotKeptIsOverwritten) {
  KeyValueCache cache(1, 1, 3);
  cache.append(0, rows(1, 2), rows(1, 2));
  EXPECT_EQ(firsts(cache.append(0, rows(5, 1), rows(6, 1)).key), Numbers{5});
  cache.advance(1);
  EXPECT_EQ(firsts(cache.append(0, rows(7, 1), rows(8, 1)).value), (Numbers{6, 8}));
}

TEST_F(KeyValueCacheTest, LayersDoNotMix) {
  KeyValueCache cache(3, 1, 4);
  for (std::int64_t layer = 0; layer < 3; ++layer) {
    cache.append(layer, rows(10.0 * static_cast<double>(layer), 2), rows(0, 2));
  }
  cache.advance(2);
  for (std::int64_t layer = 0; layer < 3; ++layer) {
    const double first = 10.0 * static_cast<double>(layer);
    EXPECT_EQ(firsts(cache.append(layer, rows(99, 1), rows(0, 1)).key),
              (Numbers{first, first + 1, 99}));
  }
}

TEST_F(KeyValueCacheTest, MoreThanItsCapacityIsABug) {
  KeyValueCache cache(1, 1, 2);
  cache.append(0, rows(1, 2), rows(1, 2));
  cache.advance(2);
  EXPECT_THROW(cache.append(0, rows(3, 1), rows(3, 1)), InternalError);
}

TEST(ForwardContext, OnlyTheTrainingPhaseTrains) {
  ForwardContext context;
  EXPECT_TRUE(context.training());
  context.phase = Phase::Evaluate;
  EXPECT_FALSE(context.training());
}

}  // namespace
}  // namespace moe::nn
