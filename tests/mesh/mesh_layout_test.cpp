#include "mesh/mesh_layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/error.h"
#include "base/format.h"
#include "mesh/factorings.h"

namespace moe {
namespace {

using mesh::Coordinates;
using mesh::Degrees;
using mesh::kPurposes;
using mesh::MeshLayout;
using mesh::Purpose;
using ::testing::ElementsAre;
using testing::for_each_layout;

std::string name(const MeshLayout& layout) {
  const Degrees& d = layout.degrees();
  return format("pp {} rep {} shard {} cp {} tp {} ep {} etp {}", d.pipeline, d.data_replicate,
                d.data_shard, d.context, d.tensor, d.expert, d.expert_tensor);
}

// ---- every factoring of a world

class EveryFactoring : public ::testing::TestWithParam<int> {};

TEST_P(EveryFactoring, CoordinatesRoundTrip) {
  for_each_layout(GetParam(), [](const MeshLayout& layout) {
    for (int rank = 0; rank < layout.world(); ++rank) {
      const Coordinates at = layout.coordinates(rank);
      ASSERT_EQ(layout.rank_at(at), rank) << name(layout);
      ASSERT_EQ(layout.rank_at_expert(at), rank) << name(layout);
    }
  });
}

// Ascending, with the rank in it, and equal to the list its first member sees: so groups are
// disjoint.
void expect_partition(const MeshLayout& layout, Purpose purpose) {
  std::vector<std::vector<int>> first_sees(static_cast<std::size_t>(layout.world()));
  for (int rank = 0; rank < layout.world(); ++rank) {
    const std::vector<int> group = layout.ranks(purpose, rank);
    ASSERT_TRUE(std::is_sorted(group.begin(), group.end()));
    ASSERT_EQ(std::count(group.begin(), group.end(), rank), 1);
    std::vector<int>& reference = first_sees[static_cast<std::size_t>(group.front())];
    if (reference.empty()) reference = layout.ranks(purpose, group.front());
    ASSERT_EQ(group, reference);
    if (rank != group.back()) continue;
    ASSERT_EQ(layout.index_in_group(purpose, rank) + 1, layout.group_size(purpose, rank));
  }
}

TEST_P(EveryFactoring, EveryRankIsInExactlyOneGroupPerPurpose) {
  for_each_layout(GetParam(), [](const MeshLayout& layout) {
    for (const Purpose purpose : kPurposes) {
      SCOPED_TRACE(format("{}: {}", name(layout), to_string(purpose)));
      expect_partition(layout, purpose);
    }
  });
}

TEST_P(EveryFactoring, GroupsHaveTheSizeOfTheirAxes) {
  for_each_layout(GetParam(), [](const MeshLayout& layout) {
    const Degrees& d = layout.degrees();
    const auto size = [&](Purpose purpose) {
      return layout.group_size(purpose, layout.world() - 1);
    };
    SCOPED_TRACE(name(layout));
    ASSERT_EQ(size(Purpose::ReadData), d.data());
    ASSERT_EQ(size(Purpose::SumLoss), d.data() * d.context);
    ASSERT_EQ(size(Purpose::SumSplitGrad), d.data() * d.context);
    ASSERT_EQ(size(Purpose::SumReplicatedGrad), layout.stage_ranks());
    ASSERT_EQ(size(Purpose::SumExpertGrad) * d.expert * d.expert_tensor, layout.stage_ranks());
    ASSERT_EQ(size(Purpose::SumTiedGrad), std::min(d.pipeline, 2));
    ASSERT_EQ(size(Purpose::SumGradNorm), layout.world());
    ASSERT_EQ(size(Purpose::SumRouting), d.context * d.tensor);
    ASSERT_EQ(size(Purpose::SumRoutingGlobal), layout.stage_ranks());
    ASSERT_EQ(size(Purpose::ExchangeTokens), d.expert);
    ASSERT_EQ(size(Purpose::JoinHidden), d.tensor);
    ASSERT_EQ(size(Purpose::JoinExpertHidden), d.expert_tensor);
    ASSERT_EQ(size(Purpose::ExchangeSequence), d.context);
    ASSERT_EQ(size(Purpose::GatherShard), d.data_shard);
    ASSERT_EQ(size(Purpose::PassActivations), d.pipeline);
  });
}

// Which of the stage's tokens a rank contributes to the gradient of a parameter placed so: its own,
// or all of those it shares the computation with.
int token_share(const MeshLayout& layout, Purpose sum, int rank) {
  const Coordinates at = layout.coordinates(rank);
  const Degrees& d = layout.degrees();
  if (sum == Purpose::SumExpertGrad) return at.expert_data;
  const int sequence = (at.data_replicate * d.data_shard + at.data_shard) * d.context + at.context;
  return sum == Purpose::SumSplitGrad ? sequence : sequence * d.tensor + at.tensor;
}

Placement expert_matrix() {
  return Placement().split(0, Role::Expert).split(2, Role::Hidden);
}

const Placement kPlacements[] = {
    Placement::replicated(), Placement().split(0, Role::Heads),  Placement().split(1, Role::Hidden),
    expert_matrix(),         Placement().split(0, Role::Expert),
};

// Within a stage every share of the tokens is summed exactly once for every slice.
void expect_all_tokens_once(const MeshLayout& layout, const Placement& placement) {
  const Purpose sum = layout.sum_grad(placement);
  const int groups = layout.stage_ranks() / layout.group_size(sum, 0);
  ASSERT_EQ(groups * layout.group_size(sum, 0), layout.stage_ranks());
  for (int rank = 0; rank < layout.world(); ++rank) {
    const std::vector<int> group = layout.ranks(sum, rank);
    if (rank != group.front()) continue;  // the others see the same group
    for (std::size_t i = 0; i < group.size(); ++i) {
      // Shares come in order and none is missing, none twice.
      ASSERT_EQ(token_share(layout, sum, group[i]), static_cast<int>(i));
    }
  }
}

TEST_P(EveryFactoring, AGradientIsSummedOverEveryTokenOnce) {
  for_each_layout(GetParam(), [](const MeshLayout& layout) {
    SCOPED_TRACE(name(layout));
    for (const Placement& placement : kPlacements) expect_all_tokens_once(layout, placement);
  });
}

std::vector<int> all_worlds() {
  std::vector<int> worlds;
  for (int world = 1; world <= 64; ++world) worlds.push_back(world);
  return worlds;
}

INSTANTIATE_TEST_SUITE_P(World, EveryFactoring, ::testing::ValuesIn(all_worlds()),
                         ::testing::PrintToStringParamName());

// ---- order, by hand

TEST(MeshLayout, ExpertGroupsAreNeighbours) {
  const MeshLayout layout({.data_shard = 8, .expert = 4}, 8);
  EXPECT_EQ(layout.expert_data(), 2);
  EXPECT_THAT(layout.ranks(Purpose::ExchangeTokens, 1), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(layout.ranks(Purpose::ExchangeTokens, 6), ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(layout.ranks(Purpose::SumExpertGrad, 6), ElementsAre(2, 6));
  EXPECT_THAT(layout.ranks(Purpose::GatherExpertShard, 6), ElementsAre(2, 6));
}

TEST(MeshLayout, TensorIsInnermostAndPipelineOutermost) {
  const MeshLayout layout({.pipeline = 2, .data_shard = 2, .tensor = 2}, 8);
  EXPECT_THAT(layout.ranks(Purpose::JoinHidden, 5), ElementsAre(4, 5));
  EXPECT_THAT(layout.ranks(Purpose::ReadData, 5), ElementsAre(5, 7));
  EXPECT_THAT(layout.ranks(Purpose::PassActivations, 5), ElementsAre(1, 5));
  EXPECT_THAT(layout.ranks(Purpose::SumTiedGrad, 5), ElementsAre(1, 5));
}

TEST(MeshLayout, FoldedMeshesShareOnlyThePipeline) {
  const MeshLayout layout({.data_shard = 2, .tensor = 4, .expert = 4, .expert_tensor = 1}, 8);
  EXPECT_THAT(layout.ranks(Purpose::JoinHidden, 0), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(layout.ranks(Purpose::ExchangeTokens, 0), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(layout.ranks(Purpose::SumExpertGrad, 1), ElementsAre(1, 5));
  EXPECT_THAT(layout.ranks(Purpose::SumSplitGrad, 1), ElementsAre(1, 5));
}

TEST(MeshLayout, MiddleStagesTieNothing) {
  const MeshLayout layout({.pipeline = 3, .data_shard = 2}, 6);
  EXPECT_THAT(layout.ranks(Purpose::SumTiedGrad, 5), ElementsAre(1, 5));
  EXPECT_THAT(layout.ranks(Purpose::SumTiedGrad, 3), ElementsAre(3));
}

TEST(MeshLayout, ExpertShardsStayWithinAReplica) {
  const MeshLayout layout({.data_replicate = 2, .data_shard = 4, .expert = 2}, 8);
  EXPECT_THAT(layout.ranks(Purpose::SumExpertGrad, 5), ElementsAre(1, 3, 5, 7));
  EXPECT_THAT(layout.ranks(Purpose::GatherExpertShard, 5), ElementsAre(5, 7));
}

TEST(MeshLayout, TensorRanksWithTheSameTokensAreNotSummed) {
  const MeshLayout layout(
      {.data_shard = 2, .tensor = 2, .expert_tensor = 2, .tensor_splits_tokens = false}, 4);
  const Placement norm = Placement::replicated();
  EXPECT_THAT(layout.ranks(layout.sum_grad(norm), 1), ElementsAre(1, 3));
  EXPECT_THAT(layout.ranks(Purpose::SumRouting, 1), ElementsAre(1));
  EXPECT_THAT(layout.holders(norm, 1), ElementsAre(0, 1, 2, 3));
  int owners = 0;  // each of the two shards has one
  for (int rank = 0; rank < 4; ++rank) owners += layout.owns(norm, rank) ? 1 : 0;
  EXPECT_EQ(owners, 2);
}

TEST(MeshLayout, SaysWhatItIs) {
  EXPECT_EQ(to_string(MeshLayout({.data_shard = 8, .expert = 4}, 8)),
            "8 ranks: data 8 (replicate 1, shard 8); experts: expert 4 x data 2");
  EXPECT_EQ(to_string(MeshLayout({}, 1)), "1 ranks: data 1; experts: expert 1 x data 1");
}

// ---- what does not fit

struct Refusal {
  Degrees degrees;
  int world;
  const char* message;
};

TEST(MeshLayout, RefusesWhatDoesNotFitNamingTheKeys) {
  const Refusal refusals[] = {
      {{.data_shard = 4, .expert = 8}, 4, "parallel.expert (8) must divide parallel.data (4)"},
      {{.data_shard = 4, .expert = 3}, 4, "parallel.expert (3) must divide parallel.data (4)"},
      {{.data_shard = 3}, 4, "parallel.data (3) makes 3 ranks, but the job has 4"},
      {{.data_replicate = 2, .data_shard = 2, .tensor = 2},
       4,
       "parallel.data (4) x parallel.tensor (2) makes 8 ranks, but the job has 4"},
      {{.data_shard = 0}, 4, "parallel.data_shard (0): expected 1 or more"},
      {{.data_shard = 4, .expert = -1}, 4, "parallel.expert (-1): expected 1 or more"},
      {{.data_shard = 4, .expert = 2, .expert_tensor = 4},
       4,
       "parallel.expert (2) x parallel.expert_tensor (4) must divide parallel.data (4)"},
      {{.data_replicate = 3, .data_shard = 4, .expert = 6},
       12,
       "parallel.expert (6) must divide the 4 ranks of one parallel.data_replicate block"},
      {{.data_shard = 2, .tensor = 2, .tensor_splits_tokens = false},
       4,
       "parallel.expert_tensor (1) must equal parallel.tensor (2)"},
      {{.data_shard = 65536, .tensor = 65536}, 1, "makes 4294967296 ranks"},
  };
  for (const Refusal& refusal : refusals) {
    try {
      (void)MeshLayout(refusal.degrees, refusal.world);
      ADD_FAILURE() << "accepted: " << refusal.message;
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr(refusal.message));
    }
  }
}

TEST(MeshLayout, RefusesExactlyTheUnevenFactorings) {
  for (const int world : {12, 24, 36}) {
    testing::for_each_factoring(world, [&](const Degrees& d) {
      if (testing::is_uneven(d)) {
        EXPECT_THROW((void)MeshLayout(d, world), ConfigError);
      } else {
        EXPECT_NO_THROW((void)MeshLayout(d, world));
      }
    });
  }
}

}  // namespace
}  // namespace moe
