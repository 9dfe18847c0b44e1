#include "growth/clustering.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/tolerance.h"

namespace moe::growth {
namespace {

/// Logits of each expert over some tokens, as the sums that calibration keeps.
LayerMeasure measured(std::vector<double> routed, const std::vector<std::vector<double>>& logits,
                      std::vector<std::vector<double>> outputs) {
  LayerMeasure measure;
  measure.routed = std::move(routed);
  measure.mean_output = std::move(outputs);
  for (const auto& output : measure.mean_output) {
    double squares = 0;
    for (const double v : output) squares += v * v;
    measure.output_norm.push_back(std::sqrt(squares));
  }
  for (const auto& a : logits) {
    for (const auto& b : logits) {
      double sum = 0;
      for (std::size_t t = 0; t < a.size(); ++t) sum += a[t] * b[t];
      measure.logit_products.push_back(sum);
    }
  }
  return measure;
}

using Members = std::vector<std::vector<std::int64_t>>;

Members members_of(const std::vector<ExpertGroup>& groups) {
  Members members;
  for (const ExpertGroup& group : groups) members.push_back(group.members);
  return members;
}

TEST(Clustering, OthersJoinTheCoreWithTheMostSimilarLogits) {
  const LayerMeasure measure = measured({5, 1, 9, 2}, {{1, 0}, {0.1, 1}, {0, 1}, {3, 0.5}},
                                        {{1, 0}, {0, 1}, {2, 2}, {3, 3}});
  EXPECT_EQ(members_of(group_by_frequency(measure, 2)), (Members{{0, 3}, {2, 1}}));
}

TEST(Clustering, WeightsAreSharesOfUse) {
  const LayerMeasure measure = measured({5, 1, 9, 2}, {{1, 0}, {0.1, 1}, {0, 1}, {3, 0.5}},
                                        {{1, 0}, {0, 1}, {2, 2}, {3, 3}});
  for (const auto& groups :
       {group_by_frequency(measure, 2), group_by_outputs(measure, 2)}) {
    for (const ExpertGroup& group : groups) {
      double sum = 0;
      double routed = 0;
      for (const std::int64_t m : group.members) {
        routed += measure.routed[static_cast<std::size_t>(m)];
      }
      for (std::size_t i = 0; i < group.members.size(); ++i) {
        sum += group.weights[i];
        EXPECT_EQ(group.weights[i],
                  measure.routed[static_cast<std::size_t>(group.members[i])] / routed);
      }
      EXPECT_NEAR(sum, 1.0, testing::tolerance(DType::F64, 4));
    }
  }
}

TEST(Clustering, UnusedExpertsWeighTheSame) {
  const LayerMeasure measure = measured({0, 0, 0}, {{1}, {1}, {1}}, {{0}, {0}, {0}});
  const auto groups = group_by_outputs(measure, 1);
  ASSERT_EQ(groups.size(), 1U);
  for (const double weight : groups[0].weights) EXPECT_EQ(weight, 1.0 / 3);
}

/// Experts 0 and 1 are copies, and the most used; 2 is another. Two groups must keep them apart.
TEST(Clustering, CopiesFindEachOtherHoweverMuchTheyAreUsed) {
  const LayerMeasure measure =
      measured({9, 9, 1}, {{1, 2}, {1, 2}, {1, 2.01}}, {{1, 0}, {1.005, 0}, {0, 1}});
  EXPECT_EQ(members_of(group_by_frequency(measure, 2)), (Members{{0, 1}, {2}}));
  EXPECT_EQ(members_of(group_by_outputs(measure, 2)), (Members{{0, 1}, {2}}));
}

TEST(Clustering, MoreGroupsThanDistinctExpertsSplitCopies) {
  const LayerMeasure measure = measured({3, 2, 1}, {{1}, {1}, {1}}, {{1}, {1}, {1}});
  EXPECT_EQ(members_of(group_by_frequency(measure, 2)), (Members{{0, 2}, {1}}));
  EXPECT_EQ(members_of(group_by_frequency(measure, 3)), (Members{{0}, {1}, {2}}));
}

/// Single linkage would chain 0, 1, 2; complete and average linkage differ on the last merge.
TEST(Clustering, LinkageIsAverage) {
  const std::vector<double> places{0.0, 1.0, 2.1, 4.0};
  std::vector<std::vector<double>> outputs;
  std::vector<std::vector<double>> logits;
  for (const double place : places) {
    outputs.push_back({place});
    logits.push_back({1});
  }
  const LayerMeasure measure = measured({1, 1, 1, 1}, logits, outputs);
  // 0-1 merge at 1.0; then {0,1}-2 lie 1.6 apart, 2-3 1.9: average linkage takes {0,1,2}.
  EXPECT_EQ(members_of(group_by_outputs(measure, 2)), (Members{{0, 1, 2}, {3}}));
}

TEST(Clustering, TheMostUsedMemberComesFirst) {
  const LayerMeasure measure = measured({1, 7, 3}, {{1}, {1}, {1}}, {{0}, {0.1}, {9}});
  EXPECT_EQ(members_of(group_by_outputs(measure, 2)), (Members{{1, 0}, {2}}));
}

}  // namespace
}  // namespace moe::growth
