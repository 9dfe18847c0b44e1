#include "train/routing_statistics.h"

#include <cmath>

#include "base/error.h"
#include "support/context_test.h"
#include "support/thread_ranks.h"
#include "support/tolerance.h"

namespace moe::train {
namespace {

using testing::ids;
using Counts = std::vector<std::int64_t>;

class RoutingStatisticsTest : public testing::ContextTest {};

/// Layers 1 and 3 of four are sparse.
ModelConfig config() {
  ModelConfig model;
  model.num_hidden_layers = 4;
  model.num_experts = 4;
  model.sparse_layers = "step";
  model.decoder_sparse_step = 2;
  return model;
}

/// Three tokens; the last is padding if `padded`.
BalanceTerm term(std::int64_t layer, std::vector<std::int32_t> chosen,
                 std::vector<std::int32_t> kept, DType dtype = DType::F32) {
  const std::vector<double> probability{0.25, 0.25, 0.25, 0.25, 1.0, 0.0,
                                        0.0,  0.0,  0.5,  0.5,  0.0, 0.0};
  BalanceTerm one;
  one.layer = layer;
  one.probability_TE = Variable(Tensor::from(probability, {3, 4}, dtype));
  one.chosen_TK = ids(chosen, {3, 2});
  one.kept_TK = ids(kept, {3, 2});
  return one;
}

TEST_F(RoutingStatisticsTest, CountsWhatWasChosenAndWhatWasDropped) {
  for (const DType dtype : {DType::F32, DType::F64}) {
    RoutingStatistics statistics(config());
    for (int micro_batch = 0; micro_batch < 2; ++micro_batch) {
      statistics.add({term(1, {0, 1, 0, 2, 0, 1}, {0, 1, 0, 2, -1, 1}, dtype),
                      term(3, {3, 2, 3, 2, 3, 2}, {3, 2, -1, -1, -1, -1}, dtype)},
                     {});
    }
    ASSERT_EQ(statistics.counts().size(), 2U);
    const metrics::RoutingCounts& first = statistics.counts()[0];
    const metrics::RoutingCounts& second = statistics.counts()[1];
    EXPECT_EQ(first.layer, 1);
    EXPECT_EQ(second.layer, 3);
    EXPECT_EQ(first.routed_E, (Counts{6, 4, 2, 0}));
    EXPECT_EQ(second.routed_E, (Counts{0, 0, 6, 6}));
    EXPECT_EQ(first.dropped, 2);
    EXPECT_EQ(second.dropped, 8);
    EXPECT_EQ(first.tokens, 6);
    const double entropy = 2 * (std::log(4.0) + 0.0 + std::log(2.0));
    EXPECT_NEAR(first.entropy_sum, entropy, entropy * testing::tolerance(DType::F32, 12));
  }
}

TEST_F(RoutingStatisticsTest, LoadsTellImbalanceAndDeadExperts) {
  RoutingStatistics statistics(config());
  statistics.add({term(1, {0, 1, 0, 2, 0, 1}, {0, 1, 0, 2, -1, 1}),
                  term(3, {3, 2, 3, 2, 3, 2}, {3, 2, 3, 2, 3, 2})},
                 {});
  const std::vector<metrics::ExpertLoad> loads = statistics.loads();
  ASSERT_EQ(loads.size(), 2U);
  const auto near = [](double a, double b) {
    EXPECT_NEAR(a, b, testing::tolerance(DType::F32, 12));
  };
  EXPECT_EQ(loads[0].layer, 1);
  EXPECT_EQ(loads[0].dead_experts, 1);
  near(loads[0].max_over_mean, 3.0 / (6.0 / 4));
  near(loads[0].min_over_mean, 0.0);
  near(loads[0].dropped_share, 1.0 / 6);
  near(loads[0].entropy, (std::log(4.0) + std::log(2.0)) / 3);
  near(loads[0].entropy_share, (std::log(4.0) + std::log(2.0)) / 3 / std::log(4.0));
  EXPECT_EQ(loads[1].layer, 3);
  EXPECT_EQ(loads[1].dead_experts, 2);
  near(loads[1].max_over_mean, 2.0);
  near(loads[1].dropped_share, 0.0);
}

TEST_F(RoutingStatisticsTest, PaddingCountsNowhere) {
  RoutingStatistics statistics(config());
  Tensor mask = Tensor::full({3}, DType::U8, 1.0);
  mask.span<std::uint8_t>()[2] = 0;
  statistics.add({term(1, {0, 1, 0, 2, -1, -1}, {0, 1, 0, 2, -1, -1}),
                  term(3, {3, 2, 3, 2, -1, -1}, {3, 2, -1, 2, -1, -1})},
                 mask);
  const metrics::RoutingCounts& first = statistics.counts()[0];
  EXPECT_EQ(first.routed_E, (Counts{2, 1, 1, 0}));
  EXPECT_EQ(first.tokens, 2);
  EXPECT_EQ(first.dropped, 0) << "padding is not dropped, it was never routed";
  EXPECT_EQ(statistics.counts()[1].dropped, 1);
  EXPECT_NEAR(first.entropy_sum, std::log(4.0), testing::tolerance(DType::F32, 12));
}

TEST_F(RoutingStatisticsTest, SumsOverRanks) {
  testing::run_ranks(3, [](comm::Group& group) {
    RoutingStatistics statistics(config());
    const auto mine = static_cast<std::int32_t>(group.rank());
    statistics.add({term(1, {0, mine + 1, 0, 2, 0, 1}, {0, mine + 1, 0, -1, 0, 1}),
                    term(3, {3, 2, 3, 2, 3, 2}, {3, 2, 3, 2, 3, -1})},
                   {});
    statistics.sum_over(group);
    const metrics::RoutingCounts& first = statistics.counts()[0];
    EXPECT_EQ(first.routed_E, (Counts{9, 4, 4, 1}));
    EXPECT_EQ(first.tokens, 9);
    EXPECT_EQ(first.dropped, 3);
    EXPECT_NEAR(first.entropy_sum, 3 * (std::log(4.0) + std::log(2.0)),
                3 * testing::tolerance(DType::F32, 12));
    EXPECT_EQ(statistics.counts()[1].routed_E, (Counts{0, 0, 9, 9}));
    EXPECT_EQ(statistics.counts()[1].dropped, 3);
  });
}

TEST_F(RoutingStatisticsTest, ADenseModelHasNone) {
  RoutingStatistics statistics{ModelConfig()};
  statistics.add({}, {});
  EXPECT_TRUE(statistics.counts().empty());
  EXPECT_TRUE(statistics.loads().empty());
}

TEST_F(RoutingStatisticsTest, TermsOfAnotherModelAreABug) {
  RoutingStatistics statistics(config());
  EXPECT_THROW(statistics.add({term(1, {0, 1, 0, 1, 0, 1}, {0, 1, 0, 1, 0, 1})}, {}),
               InternalError);
  EXPECT_THROW(statistics.add({term(1, {0, 1, 0, 1, 0, 1}, {0, 1, 0, 1, 0, 1}),
                               term(2, {0, 1, 0, 1, 0, 1}, {0, 1, 0, 1, 0, 1})},
                              {}),
               InternalError);
}

}  // namespace
}  // namespace moe::train
