#include "data/mixture.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace moe::data {
namespace {

std::vector<std::int64_t> counts_in(const MixtureOrder& order, std::size_t sources,
                                    std::int64_t begin, std::int64_t end) {
  std::vector<std::int64_t> counts(sources, 0);
  for (std::int64_t g = begin; g < end; ++g) {
    ++counts[static_cast<std::size_t>(order.place(g).source)];
  }
  return counts;
}

struct WeightsRow {
  std::vector<double> weights;
};

class MixtureWeights : public ::testing::TestWithParam<WeightsRow> {};

TEST_P(MixtureWeights, HoldInEveryBlock) {
  const auto& weights = GetParam().weights;
  double sum = 0;
  for (const double weight : weights) sum += weight;
  const MixtureOrder order(weights, 11);
  for (std::int64_t block = 0; block < 4; ++block) {
    const auto counts = counts_in(order, weights.size(), block * MixtureOrder::kBlock,
                                  (block + 1) * MixtureOrder::kBlock);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const double share = weights[i] / sum * static_cast<double>(MixtureOrder::kBlock);
      EXPECT_GE(counts[i], 1);
      // Largest remainders are off by less than one; sources below one sample take from the others.
      EXPECT_NEAR(static_cast<double>(counts[i]), share, static_cast<double>(weights.size()));
    }
  }
}

TEST_P(MixtureWeights, HitEverySampleOfEverySourceOnceInOrder) {
  const auto& weights = GetParam().weights;
  const MixtureOrder order(weights, 5);
  std::vector<std::set<std::int64_t>> seen(weights.size());
  constexpr std::int64_t kBlocks = 3;
  for (std::int64_t g = 0; g < kBlocks * MixtureOrder::kBlock; ++g) {
    const auto place = order.place(g);
    EXPECT_TRUE(seen[static_cast<std::size_t>(place.source)].insert(place.sample).second);
  }
  for (const auto& samples : seen) {
    EXPECT_EQ(*samples.begin(), 0);
    EXPECT_EQ(*samples.rbegin() + 1, static_cast<std::int64_t>(samples.size()));
  }
}

INSTANTIATE_TEST_SUITE_P(Rows, MixtureWeights,
                         ::testing::Values(WeightsRow{{1}}, WeightsRow{{1, 1}},
                                           WeightsRow{{0.7, 0.2, 0.1}}, WeightsRow{{1, 1e-9}},
                                           WeightsRow{{3, 3, 3, 1e300}},
                                           WeightsRow{std::vector<double>(100, 0.01)}));

TEST(Mixture, WhatTinySourcesTakeIsTakenEvenly) {
  std::vector<double> weights(62, 1e-9);
  weights[10] = weights[50] = 1;
  const MixtureOrder order(weights, 1);
  const auto counts = counts_in(order, weights.size(), 0, MixtureOrder::kBlock);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    EXPECT_EQ(counts[i], i == 10 || i == 50 ? (MixtureOrder::kBlock - 60) / 2 : 1) << i;
  }
}

TEST(Mixture, ShortStretchesHaveTheirShareToo) {
  const MixtureOrder order(std::vector<double>{3, 1}, 2);
  const auto counts = counts_in(order, 2, 0, 400);
  // Four standard deviations of drawing 400 at a chance of 1/4.
  EXPECT_NEAR(static_cast<double>(counts[1]), 100.0, 4 * std::sqrt(400 * 0.25 * 0.75));
}

TEST(Mixture, OrderDependsOnTheSeedAlone) {
  const std::vector<double> weights{1, 2};
  const MixtureOrder a(weights, 1);
  const MixtureOrder b(weights, 1);
  const MixtureOrder c(weights, 2);
  int different = 0;
  for (std::int64_t g = 0; g < 1000; ++g) {
    EXPECT_EQ(a.place(g).source, b.place(g).source);
    EXPECT_EQ(a.place(g).sample, b.place(g).sample);
    different += a.place(g).source != c.place(g).source ? 1 : 0;
  }
  EXPECT_GT(different, 100);
}

}  // namespace
}  // namespace moe::data
