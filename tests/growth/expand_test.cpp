// MoE -> larger MoE: when the function is kept, and what breaks the symmetry of copies.
#include "growth/expand.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "growth/calibration.h"
#include "growth/computed_source.h"
#include "growth/expert_cosine.h"
#include "growth/sparsify.h"
#include "growth/tiny_models.h"
#include "support/tolerance.h"

namespace moe::growth {
namespace {

using ::testing::HasSubstr;
using testing::random_source;
using testing::relative_difference;
using testing::tiny_sparse;

class ExpandTest : public testing::ContextTest {};

ModelSource expanded(const ModelSource& source, const ExpandConfig& options) {
  const auto stage = make_expand(options);
  return {stage->grow(source.config), stage->apply(source, {.seed = 4, .index = 1})};
}

TEST_F(ExpandTest, IsExactWhenChoicesGrowAsMuch) {
  for (const bool renormalise : {false, true}) {
    for (const std::int64_t factor : {1, 2, 3}) {
      for (const DType dtype : {DType::F64, DType::F32}) {
        ModelConfig config = tiny_sparse(4, 2);
        config.norm_topk_prob = renormalise;
        config.shared_expert_intermediate_size = 5;
        const ExpandConfig options{.num_experts = 4 * factor, .num_experts_per_tok = 2 * factor};
        EXPECT_TRUE(make_expand(options)->keeps_function(config));
        const ModelSource source = random_source(config, dtype);
        const ModelSource larger = expanded(source, options);
        testing::expect_complete(larger);
        EXPECT_LE(relative_difference(source, larger, dtype),
                  dtype == DType::F64 ? testing::kExactGrowthF64 : testing::kExactGrowthF32);
      }
    }
  }
}

/// The noise of copies cancels to the bit, so that it is exact in any dtype that stores them.
TEST_F(ExpandTest, IsExactInBf16StorageToo) {
  const ModelSource source = random_source(tiny_sparse(4, 2), DType::BF16);
  const ModelSource larger = expanded(source, {.num_experts = 8, .num_experts_per_tok = 4});
  EXPECT_LE(relative_difference(source, larger, DType::F64), testing::kExactGrowthF64);
}

TEST_F(ExpandTest, CopiesDifferAndTheirMeanIsTheOriginalToTheBit) {
  for (const DType dtype : {DType::BF16, DType::F16, DType::F32, DType::F64}) {
    const ModelSource source = random_source(tiny_sparse(3, 2), dtype);
    const ModelSource larger = expanded(source, {.num_experts = 9, .expert_noise = 0.3});
    const auto before = testing::values_of(*source.weights, sparse_name(1, "experts.down"));
    const auto after = testing::values_of(*larger.weights, sparse_name(1, "experts.down"));
    const std::size_t each = before.size() / 3;
    std::size_t different = 0;
    for (std::size_t i = 0; i < before.size(); ++i) {
      const std::size_t first = i / each * 3 * each + i % each;
      EXPECT_EQ(after[first] + after[first + each], 2 * before[i]);
      EXPECT_EQ(after[first + 2 * each], before[i]);  // the odd one has no partner
      different += after[first] != after[first + each] ? 1U : 0U;
    }
    EXPECT_GT(different, before.size() * 9 / 10);
  }
}

TEST_F(ExpandTest, NoiseHasTheGivenRelativeSize) {
  const ModelSource source = random_source(tiny_sparse(4, 2));
  const ModelSource larger = expanded(source, {.num_experts = 8, .expert_noise = 0.05});
  const auto before = testing::values_of(*source.weights, sparse_name(0, "experts.down"));
  const auto after = testing::values_of(*larger.weights, sparse_name(0, "experts.down"));
  const std::size_t each = before.size() / 4;
  double squares = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const double relative = after[i / each * 2 * each + i % each] / before[i] - 1;
    squares += relative * relative;
  }
  const auto count = static_cast<double>(before.size());
  EXPECT_NEAR(std::sqrt(squares / count), 0.05, 4 * 0.05 / std::sqrt(2 * count));
}

TEST_F(ExpandTest, WithoutNoiseCopiesAreCopies) {
  const ModelSource source = random_source(tiny_sparse(2, 1));
  const ModelSource larger =
      expanded(source, {.num_experts = 4, .expert_noise = 0, .router_noise = 0.0});
  for (const char* part : {"router", "experts.gate_up", "experts.down"}) {
    const auto before = testing::values_of(*source.weights, sparse_name(2, part));
    const auto after = testing::values_of(*larger.weights, sparse_name(2, part));
    const std::size_t each = before.size() / 2;
    for (std::size_t i = 0; i < after.size(); ++i) {
      EXPECT_EQ(after[i], before[i / each / 2 * each + i % each]) << part;
    }
  }
}

TEST_F(ExpandTest, WithChoicesKeptTheFunctionChangesAndTheStageSaysSo) {
  const ExpandConfig options{.num_experts = 8};
  const ModelSource source = random_source(tiny_sparse(4, 2));
  EXPECT_EQ(make_expand(options)->grow(source.config).num_experts_per_tok, 2);
  EXPECT_FALSE(make_expand(options)->keeps_function(source.config));
  EXPECT_GT(relative_difference(source, expanded(source, options)), testing::kExactGrowthF32);
  const auto rows = testing::values_of(*expanded(source, options).weights, sparse_name(0, "router"));
  double largest = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::size_t first = i / 24 * 24 + i % 12;
    const double apart = std::abs(rows[i] - rows[first]);
    largest = std::max(largest, apart);
  }
  EXPECT_GT(largest, 0.0005);
  EXPECT_LE(largest, 0.001 * (1 + testing::tolerance(DType::F32)) + testing::tolerance(DType::F32));
}

TEST_F(ExpandTest, SameSeedSameBytesByAnySlice) {
  for (const char* method : {"uniform", "utility"}) {
    const ExpandConfig options{.method = method, .num_experts = 7, .calibration = {.tokens = 50}};
    const ModelSource source = random_source(tiny_sparse(4, 2), DType::BF16);
    const ModelSource larger = expanded(source, options);
    testing::expect_complete(larger);
    testing::expect_same_by_any_slice(*larger.weights);
    EXPECT_TRUE(testing::same_weights(*larger.weights, *expanded(source, options).weights));
  }
}

TEST_F(ExpandTest, NothingToAddIsTheIdentity) {
  const ModelSource source = random_source(tiny_sparse(4, 2));
  for (const char* method : {"uniform", "utility"}) {
    const ExpandConfig options{.method = method, .num_experts = 4};
    EXPECT_TRUE(make_expand(options)->keeps_function(source.config));
    EXPECT_TRUE(testing::same_weights(*source.weights, *expanded(source, options).weights));
  }
}

TEST_F(ExpandTest, GroupsOfShardsAreCopiedAsOne) {
  const auto granular = make_sparsify(
      {.method = "granular", .num_experts = 8, .num_experts_per_tok = 4, .granularity = 4});
  const ModelSource dense = random_source(testing::tiny_dense(), DType::F64);
  const ModelSource sparse{granular->grow(dense.config), granular->apply(dense, {.seed = 2})};
  // K kept: a token's replica is chosen whole, whatever the noise on rows, and replicas are equal.
  for (const std::optional<double> noise : {std::optional<double>(), std::optional<double>(0.5)}) {
    const ModelSource larger = expanded(sparse, {.num_experts = 24,
                                                 .granularity = 4,
                                                 .expert_noise = 0,
                                                 .router_noise = noise});
    EXPECT_LE(relative_difference(dense, larger), testing::kExactGrowthF64);
  }
  // One by one, copies of one shard displace the others.
  const ModelSource wrong = expanded(sparse, {.num_experts = 16, .expert_noise = 0});
  EXPECT_GT(relative_difference(dense, wrong), testing::kExactGrowthF32);
}

TEST_F(ExpandTest, UtilityGivesMoreCopiesToThoseThatDoMore) {
  ModelConfig config = tiny_sparse(4, 1);
  const ModelSource source = testing::in_memory(
      random_source(config), [](const std::string& name, std::vector<double>& values) {
        if (!name.ends_with("experts.down.weight")) return;
        const std::size_t each = values.size() / 4;
        for (std::size_t i = 2 * each; i < 3 * each; ++i) values[i] *= 100;
      });
  const ModelSource larger =
      expanded(source, {.method = "utility", .num_experts = 6, .expert_noise = 0});
  const auto before = testing::values_of(*source.weights, sparse_name(0, "experts.gate_up"));
  const auto after = testing::values_of(*larger.weights, sparse_name(0, "experts.gate_up"));
  const std::size_t each = before.size() / 4;
  const std::size_t origin[] = {0, 1, 2, 2, 2, 3};
  for (std::size_t i = 0; i < after.size(); ++i) {
    EXPECT_EQ(after[i], before[origin[i / each] * each + i % each]);
  }
}

struct ReplicasRow {
  std::vector<double> utility;
  std::int64_t total;
  std::vector<std::int64_t> expected;
};

TEST(Replicas, GreedyByUtility) {
  const std::vector<ReplicasRow> rows{
      {{1, 1, 1}, 3, {1, 1, 1}},   {{5, 1, 1}, 4, {2, 1, 1}}, {{5, 1, 1}, 6, {3, 2, 1}},
      {{5, 4, 1}, 6, {3, 2, 1}},   {{0, 0}, 4, {2, 2}},       {{9, 1}, 8, {4, 4}},
      {{1, 100, 1}, 5, {1, 3, 1}}, {{1, 100, 1}, 6, {2, 3, 1}},
  };
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(utility_replicas(rows[i].utility, rows[i].total), rows[i].expected) << i;
  }
}

TEST(Replicas, UniformGivesTheRestToTheFirst) {
  EXPECT_EQ(uniform_replicas(3, 6), (std::vector<std::int64_t>{2, 2, 2}));
  EXPECT_EQ(uniform_replicas(3, 5), (std::vector<std::int64_t>{2, 2, 1}));
  EXPECT_EQ(uniform_replicas(4, 4), (std::vector<std::int64_t>{1, 1, 1, 1}));
}

struct Refusal {
  const char* option;
  const char* names;
  ExpandConfig options;
};

TEST_F(ExpandTest, RefusesTheImpossibleAndSaysWhatIsPossible) {
  const std::vector<Refusal> rows{
      {"expand.num_experts", "merge or prune", {.num_experts = 3}},
      {"expand.num_experts_per_tok", "1 to 8", {.num_experts = 8, .num_experts_per_tok = 9}},
      {"expand.granularity", "possible: 1, 2, 4", {.num_experts = 8, .granularity = 3}},
  };
  for (const Refusal& row : rows) {
    try {
      make_expand(row.options)->grow(tiny_sparse(4, 2));
      ADD_FAILURE() << row.option << " is not refused";
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), HasSubstr(row.option));
      EXPECT_THAT(error.what(), HasSubstr(row.names));
    }
  }
  EXPECT_THROW(make_expand({})->grow(testing::tiny_dense()), ConfigError);
}

}  // namespace
}  // namespace moe::growth
