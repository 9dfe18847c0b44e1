#include "base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

namespace moe {
namespace {

using Block = std::array<std::uint32_t, 4>;

TEST(Philox, KnownAnswers) {
  // kat_vectors of Random123, philox4x32 with 10 rounds.
  struct Row {
    Block counter;
    std::array<std::uint32_t, 2> key;
    Block wanted;
  };
  const Row rows[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const Row& row : rows) EXPECT_EQ(philox(row.counter, row.key), row.wanted);
}

TEST(Random, BlocksInBulkAreTheBlocksOneByOne) {
  const Random random(3, "bulk");
  for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{5}, (std::uint64_t{1} << 32) - 3}) {
    for (const std::size_t count : {0U, 1U, 7U, 8U, 9U, 40U}) {
      std::vector<std::uint32_t> bulk(4 * count);
      random.blocks(first, bulk);
      for (std::size_t i = 0; i < count; ++i) {
        const Block one = random.block(first + i);
        EXPECT_TRUE(std::equal(one.begin(), one.end(), bulk.begin() + static_cast<std::ptrdiff_t>(4 * i)));
      }
    }
  }
}

TEST(HashName, IsFnv1a) {
  EXPECT_EQ(hash_name(""), 0xcbf29ce484222325ULL);
  EXPECT_EQ(hash_name("a"), 0xaf63dc4c8601ec8cULL);
  EXPECT_EQ(hash_name("foobar"), 0x85944171f73967e8ULL);
}

TEST(Random, DependsOnSeedStreamAndIndexOnly) {
  const Random random(1, "layers.0");
  EXPECT_EQ(random.bits(5), Random(1, "layers.0").bits(5));
  std::set<std::uint64_t> seen;
  for (const std::uint64_t seed : {0ULL, 1ULL, 1ULL << 32}) {
    for (const char* stream : {"", "a", "b"}) {
      for (const std::uint64_t index : {0ULL, 1ULL, 1ULL << 32, ~0ULL}) {
        seen.insert(Random(seed, stream).bits(index));
      }
    }
  }
  EXPECT_EQ(seen.size(), 3U * 3U * 4U);
}

// Sample means of n independent draws lie within kSigmas standard errors (1 in 10^9 would not).
constexpr double kSigmas = 6;
constexpr std::uint64_t kDraws = 200000;

template <class Draw>
double mean_of(Draw&& draw) {
  double sum = 0;
  for (std::uint64_t i = 0; i < kDraws; ++i) sum += draw(i);
  return sum / static_cast<double>(kDraws);
}

double bound(double variance) { return kSigmas * std::sqrt(variance / static_cast<double>(kDraws)); }

TEST(Random, UniformHasTheMomentsOfTheUniformDistribution) {
  const Random random(11, "uniform");
  // Powers of a uniform: mean 1/(k+1), variance 1/(2k+1) - 1/(k+1)^2.
  for (const double k : {1.0, 2.0, 3.0}) {
    const double wanted = 1 / (k + 1);
    const double mean = mean_of([&](std::uint64_t i) {
      const double u = random.uniform(i);
      EXPECT_GE(u, 0.0);
      EXPECT_LT(u, 1.0);
      return std::pow(u, k);
    });
    EXPECT_NEAR(mean, wanted, bound(1 / (2 * k + 1) - wanted * wanted));
  }
}

TEST(Random, NeighboursAndStreamsAreUncorrelated) {
  const Random a(11, "a");
  const Random b(11, "b");
  const double variance = 1.0 / 144;  // of the product of two centred uniforms
  EXPECT_NEAR(mean_of([&](auto i) { return (a.uniform(i) - 0.5) * (a.uniform(i + 1) - 0.5); }), 0,
              bound(variance));
  EXPECT_NEAR(mean_of([&](auto i) { return (a.uniform(i) - 0.5) * (b.uniform(i) - 0.5); }), 0,
              bound(variance));
}

TEST(Random, NormalHasTheMomentsOfTheNormalDistribution) {
  const Random random(12, "normal");
  // E x^k and Var x^k of a standard normal.
  struct Row {
    double k, mean, variance;
  };
  for (const Row& row : {Row{1, 0, 1}, Row{2, 1, 2}, Row{3, 0, 15}, Row{4, 3, 96}}) {
    const double mean =
        mean_of([&](std::uint64_t i) { return std::pow(random.normal(i), row.k); });
    EXPECT_NEAR(mean, row.mean, bound(row.variance)) << row.k;
  }
  // The tails: P(|x| > 3) = 0.0026998.
  constexpr double kTail = 0.0026998;
  EXPECT_NEAR(mean_of([&](auto i) { return std::abs(random.normal(i)) > 3 ? 1.0 : 0.0; }), kTail,
              bound(kTail * (1 - kTail)));
}

TEST(Random, BelowReachesEveryValueEquallyOften) {
  const Random random(13, "below");
  EXPECT_EQ(random.below(1, 99), 0U);
  for (const std::uint64_t size : {2ULL, 3ULL, 10ULL, 1000ULL}) {
    std::vector<double> counts(size, 0);
    for (std::uint64_t i = 0; i < kDraws; ++i) ++counts.at(random.below(size, i));
    const double p = 1 / static_cast<double>(size);
    const double expected = static_cast<double>(kDraws) * p;
    for (const double count : counts) {
      EXPECT_NEAR(count, expected, kSigmas * std::sqrt(expected * (1 - p)));
    }
  }
  const std::uint64_t huge = (1ULL << 63) + 1;
  for (std::uint64_t i = 0; i < 1000; ++i) EXPECT_LT(random.below(huge, i), huge);
}

TEST(PermutedIndex, IsABijectionForEverySize) {
  std::vector<std::uint64_t> sizes(130);
  std::iota(sizes.begin(), sizes.end(), 1);
  for (const std::uint64_t size : {255ULL, 256ULL, 257ULL, 4095ULL, 4096ULL, 4097ULL, 65537ULL, 100003ULL}) {
    sizes.push_back(size);
  }
  for (const std::uint64_t size : sizes) {
    const Random random(size, "order");
    std::vector<bool> hit(size, false);
    for (std::uint64_t i = 0; i < size; ++i) {
      const std::uint64_t at = permuted_index(size, i, random);
      ASSERT_LT(at, size);
      ASSERT_FALSE(hit[at]) << "size " << size << " index " << i;
      hit[at] = true;
    }
  }
}

TEST(PermutedIndex, LargeSizesStayInsideAndDiffer) {
  const Random random(5, "order");
  for (const std::uint64_t size : {1ULL << 40, (1ULL << 40) + 1, (1ULL << 62) + 12345}) {
    std::set<std::uint64_t> seen;
    for (std::uint64_t i = 0; i < 1000; ++i) {
      const std::uint64_t at = permuted_index(size, i, random);
      EXPECT_LT(at, size);
      seen.insert(at);
    }
    EXPECT_EQ(seen.size(), 1000U);
  }
}

/// Orders of data and first weights are what a run is repeated and resumed by: they never change.
TEST(PermutedIndex, KnownAnswers) {
  const Random random(7, "data.0.epoch.0");
  struct Row {
    std::uint64_t size;
    std::vector<std::uint64_t> places;  ///< of 0, 1, 2, 7, 9
  };
  for (const Row& row : std::initializer_list<Row>{
           {10, {0, 1, 2, 7, 5}},
           {1000, {710, 702, 639, 685, 960}},
           {(1ULL << 40) + 1,
            {419005431633, 378171095889, 1025129686582, 613203378183, 1065281982887}}}) {
    std::vector<std::uint64_t> places;
    for (const std::uint64_t i : {0, 1, 2, 7, 9})
      places.push_back(permuted_index(row.size, i, random));
    EXPECT_EQ(places, row.places) << row.size;
  }
}

TEST(Random, KnownAnswers) {
  const Random random(7, "w");
  EXPECT_EQ(random.uniform(0), 0x1.f4c2f337f49fap-2);
  EXPECT_EQ(random.uniform(1), 0x1.8dfcb5955d3bep-2);
  EXPECT_EQ(random.uniform((1ULL << 33) + 5), 0x1.c718d65ac9564p-1);
  EXPECT_EQ(hash_name(""), 0xcbf29ce484222325ULL);
  EXPECT_EQ(hash_name("layers.0"), 0x3d778b0c5ad39d29ULL);
  // Through the library's logarithm and cosine, which may differ in the last bit.
  EXPECT_DOUBLE_EQ(random.normal(0), 0x1.27be118dbecb1p+0);
  EXPECT_DOUBLE_EQ(random.normal(1), 0x1.e7e9970bc5587p-3);
}

TEST(PermutedIndex, LooksLikeARandomOrder) {
  // Displacement of a random permutation of [0, n): mean (n^2 - 1) / (3 n), and few fixed points.
  constexpr std::uint64_t kSize = 20000;
  const Random random(6, "order");
  double displacement = 0;
  int fixed = 0;
  for (std::uint64_t i = 0; i < kSize; ++i) {
    const std::uint64_t at = permuted_index(kSize, i, random);
    displacement += std::abs(static_cast<double>(at) - static_cast<double>(i));
    fixed += at == i;
  }
  const double n = kSize;
  // |a - b| of two uniforms on [0, n) has variance n^2 / 18.
  EXPECT_NEAR(displacement / n, n / 3, kSigmas * std::sqrt(n * n / 18 / n));
  EXPECT_LE(fixed, 10);  // Poisson with mean 1: more than 10 happens once in 10^8
}

TEST(PermutedIndex, SeedsGiveDifferentOrders) {
  int same = 0;
  constexpr std::uint64_t kSize = 1000;
  for (std::uint64_t i = 0; i < kSize; ++i) {
    same += permuted_index(kSize, i, Random(1, "e0")) == permuted_index(kSize, i, Random(1, "e1"));
  }
  EXPECT_LE(same, 10);
}

TEST(PermutedIndex, ThreeElementsSeeAllSixOrders) {
  std::set<std::vector<std::uint64_t>> orders;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    std::vector<std::uint64_t> order;
    for (std::uint64_t i = 0; i < 3; ++i) order.push_back(permuted_index(3, i, Random(seed, "x")));
    orders.insert(order);
  }
  EXPECT_EQ(orders.size(), 6U);
}

}  // namespace
}  // namespace moe
