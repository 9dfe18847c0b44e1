// Virtual groups: whole replicas are chosen, and their sum is the dense layer.
#include "growth/granular_experts.h"

#include <set>

#include "growth/sparsify.h"
#include "growth/tiny_models.h"
#include "support/tolerance.h"

namespace moe::growth {
namespace {

using testing::random_source;
using testing::relative_difference;
using testing::tiny_dense;

class GranularExpertsTest : public testing::ContextTest {};

struct Shape3 {
  std::int64_t rate;  ///< replicas
  std::int64_t granularity;
  std::int64_t choices;
};

SparsifyConfig granular(const Shape3& shape) {
  return {.method = "granular",
          .num_experts = shape.rate * shape.granularity,
          .num_experts_per_tok = shape.choices,
          .granularity = shape.granularity};
}

ModelSource grown(const ModelSource& source, const SparsifyConfig& options) {
  const auto stage = make_sparsify(options);
  return {stage->grow(source.config), stage->apply(source, {.seed = 9, .index = 1})};
}

constexpr Shape3 kShapes[] = {{8, 8, 8}, {2, 2, 2}, {4, 2, 4}, {3, 4, 8}, {5, 1, 3}, {1, 6, 6}};

void expect_whole_replicas(const ModelSource& sparse, DType dtype, std::int64_t granularity) {
  const auto check = [&](const LayerRun& run) {
    const auto chosen = run.term.chosen_TK.span<std::int32_t>();
    const auto choices = static_cast<std::size_t>(run.term.chosen_TK.dim(1));
    for (std::size_t t = 0; t * choices < chosen.size(); ++t) {
      std::map<std::int64_t, std::set<std::int64_t>> shards;
      for (const std::int32_t e : chosen.subspan(t * choices, choices)) {
        shards[e / granularity].insert(e % granularity);
      }
      for (const auto& [replica, found] : shards) {
        EXPECT_EQ(found.size(), static_cast<std::size_t>(granularity)) << "replica " << replica;
      }
    }
  };
  BlockwiseModel(sparse, dtype).observe(testing::random_tokens(50, 37), check);
}

// Property 5 of growth.
TEST_F(GranularExpertsTest, Property5EveryChoiceIsAUnionOfWholeReplicas) {
  for (const Shape3& shape : kShapes) {
    for (const double deviation : {0.0, 1e-4, 1.0}) {
      for (const DType dtype : {DType::F32, DType::BF16}) {
        SCOPED_TRACE(format("E{}G{}T{} std {} {}", shape.rate, shape.granularity, shape.choices,
                            deviation, to_string(dtype)));
        SparsifyConfig options = granular(shape);
        options.router_std = deviation;
        const ModelSource sparse = grown(random_source(tiny_dense(), dtype), options);
        expect_whole_replicas(sparse, dtype, shape.granularity);
      }
    }
  }
}

/// Two replicas with equal rows: all their logits tie.
TEST_F(GranularExpertsTest, Property5ReplicasThatTieStayWhole) {
  const ModelSource sparse = grown(random_source(tiny_dense()), granular({4, 2, 4}));
  const ModelSource tied =
      testing::in_memory(sparse, [](const std::string& name, std::vector<double>& values) {
        if (!name.ends_with("router.weight")) return;
        const std::size_t half = values.size() / 2;
        std::copy_n(values.begin(), half, values.begin() + static_cast<std::ptrdiff_t>(half));
      });
  expect_whole_replicas(tied, DType::F32, 2);
  expect_whole_replicas(tied, DType::BF16, 2);
}

struct Unit {
  const char* act;
  bool gated;
};
constexpr Unit kUnits[] = {{"silu", true},  {"gelu", true},  {"gelu_pytorch_tanh", true},
                           {"relu2", true}, {"relu2", false}, {"gelu", false},
                           {"gelu_pytorch_tanh", false}};

TEST_F(GranularExpertsTest, Property5AndAllUnitsAreExact) {
  for (const Unit& unit : kUnits) {
    for (const Shape3& shape : kShapes) {
      SCOPED_TRACE(format("{} gated {} E{}G{}T{}", unit.act, unit.gated, shape.rate,
                          shape.granularity, shape.choices));
      ModelConfig config = tiny_dense();
      config.hidden_act = unit.act;
      config.mlp_gated = unit.gated;
      const SparsifyConfig options = granular(shape);
      EXPECT_TRUE(make_sparsify(options)->keeps_function(config));
      const ModelSource dense = random_source(config, DType::F64);
      const ModelSource sparse = grown(dense, options);
      testing::expect_complete(sparse);
      EXPECT_LE(relative_difference(dense, sparse), testing::kExactGrowthF64);
      const ModelSource dense32 = random_source(config, DType::F32);
      EXPECT_LE(relative_difference(dense32, grown(dense32, options), DType::F32),
                testing::kExactGrowthF32);
    }
  }
}

/// Relative L2 distance of one layer's outputs between exact and published scaling.
double root_deviation(const ModelConfig& config, std::int64_t granularity) {
  const ModelSource dense = random_source(config, DType::F64);
  SparsifyConfig options = granular({2, granularity, granularity});
  double norm = 0;
  double distance = 0;
  std::vector<std::vector<double>> outputs;
  for (const char* scaling : {"exact", "root"}) {
    options.scaling = scaling;
    BlockwiseModel(grown(dense, options), DType::F64)
        .observe(testing::random_tokens(60, 37), [&](const LayerRun& run) {
          if (run.layer == 0) outputs.push_back(run.rows_RD.to_vector());
        });
  }
  for (std::size_t i = 0; i < outputs[0].size(); ++i) {
    norm += outputs[0][i] * outputs[0][i];
    distance += (outputs[1][i] - outputs[0][i]) * (outputs[1][i] - outputs[0][i]);
  }
  return std::sqrt(distance / norm);
}

TEST_F(GranularExpertsTest, Property5PublishedRootsDeviate) {
  double before = 0;
  for (const std::int64_t granularity : {2, 4, 8}) {
    const double deviation = root_deviation(tiny_dense(), granularity);
    RecordProperty(format("deviation at G = {}", granularity), format("{:.3f}", deviation));
    EXPECT_GT(deviation, before);
    before = deviation;
  }
  EXPECT_GT(before, 0.05);
  ModelConfig relu2 = tiny_dense();
  relu2.hidden_act = "relu2";
  relu2.mlp_gated = false;
  EXPECT_LE(root_deviation(relu2, 4), testing::kExactGrowthF64);
}

TEST_F(GranularExpertsTest, KeepsFunctionOnlyWhereTheRootDoes) {
  SparsifyConfig options = granular({4, 2, 4});
  options.scaling = "root";
  for (const Unit& unit : kUnits) {
    ModelConfig config = tiny_dense();
    config.hidden_act = unit.act;
    config.mlp_gated = unit.gated;
    const bool claimed = make_sparsify(options)->keeps_function(config);
    const ModelSource dense = random_source(config, DType::F64);
    const bool exact = relative_difference(dense, grown(dense, options)) < testing::kExactGrowthF64;
    EXPECT_EQ(claimed, exact) << unit.act << " " << unit.gated;
  }
}

// Property 6 of growth.
TEST_F(GranularExpertsTest, Property6ScaleAlgebra) {
  ModelConfig config = tiny_dense();
  config.num_experts = 64;
  config.num_experts_per_tok = 8;
  EXPECT_EQ(output_scale(config, 8), 8);
  config.norm_topk_prob = false;
  EXPECT_EQ(output_scale(config, 8), 64);
  EXPECT_NEAR(root_scale(64, config).up, 4, testing::tolerance(DType::F64));
  config.num_experts = 8;
  config.num_experts_per_tok = 1;
  EXPECT_EQ(output_scale(config, 1), 8);
  EXPECT_NEAR(root_scale(8, config).down, 2, testing::tolerance(DType::F64));
}

TEST_F(GranularExpertsTest, Property6ExactScalesMultiplyTheOutputExactly) {
  ModelConfig config = tiny_dense();
  for (const double scale : {0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 64.0, 7.5}) {
    const ExpertScale gated = exact_scale(scale, config);
    EXPECT_EQ(gated.gate, 1.0);
    EXPECT_EQ(gated.up * gated.down, scale);
    EXPECT_EQ(std::exp2(std::round(std::log2(gated.up))), gated.up);
    ModelConfig plain = config;
    plain.mlp_gated = false;
    EXPECT_EQ(exact_scale(scale, plain).up, 1.0);
    EXPECT_EQ(exact_scale(scale, plain).down, scale);
    plain.hidden_act = "relu2";
    const ExpertScale squared = exact_scale(scale, plain);
    EXPECT_EQ(squared.up * squared.up * squared.down, scale);
  }
}

TEST_F(GranularExpertsTest, Property6EqualRowsWithoutRenormalisationAreExact) {
  for (const Unit& unit : kUnits) {
    for (const Shape3& shape : {Shape3{8, 8, 8}, Shape3{8, 1, 1}, Shape3{4, 2, 4}}) {
      ModelConfig config = tiny_dense();
      config.hidden_act = unit.act;
      config.mlp_gated = unit.gated;
      SparsifyConfig options = granular(shape);
      options.norm_topk_prob = false;
      const ModelSource dense = random_source(config, DType::F64);
      const ModelSource sparse = grown(dense, options);
      const ModelSource equal =
          testing::in_memory(sparse, [&](const std::string& name, std::vector<double>& values) {
            if (!name.ends_with("router.weight")) return;
            for (std::size_t i = 12; i < values.size(); ++i) values[i] = values[i % 12];
          });
      EXPECT_LE(relative_difference(dense, equal), testing::kExactGrowthF64)
          << unit.act << " E" << shape.rate << "G" << shape.granularity << "T" << shape.choices;
    }
  }
}

/// Halves are cut each by itself: gate rows stay gate rows.
TEST_F(GranularExpertsTest, Property6GateAndUpAreNeverMixed) {
  const std::int64_t hidden = 6;
  const std::int64_t width = 3;
  auto source = std::make_shared<checkpoint::MemorySource>();
  std::vector<double> rows;
  for (std::int64_t i = 0; i < 2 * hidden * width; ++i) {
    // Gate rows are positive, up rows negative; each says its neuron.
    const double neuron = static_cast<double>(i / width % hidden + 1);
    rows.push_back(i < hidden * width ? neuron : -neuron);
  }
  source->add("layers.0.mlp.gate_up.weight", {2, hidden, width}, DType::F32, rows);
  DenseLayer dense{source, 0, "layers.0.mlp.gate_up.weight", "", 2, hidden, width};
  const ExpertFill fill = granular_experts(dense, 3, {});
  const Shape shape{6, 2, 2, width};
  std::vector<float> found(static_cast<std::size_t>(shape.numel()));
  fill.gate_up(whole(shape), checkpoint::flat_view(found.data(), DType::F32, shape.numel()));
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto index = static_cast<std::int64_t>(i);
    const std::int64_t expert = index / (4 * width);
    const std::int64_t half = index / (2 * width) % 2;
    const std::int64_t neuron = expert % 3 * 2 + index / width % 2 + 1;
    EXPECT_EQ(found[i], static_cast<float>(half == 0 ? neuron : -neuron)) << i;
  }
}

TEST_F(GranularExpertsTest, ShardsOfAReplicaShareTheirRouterRow) {
  const ModelSource sparse = grown(random_source(tiny_dense()), granular({3, 4, 8}));
  const auto rows = testing::values_of(*sparse.weights, "layers.2.moe.router.weight");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::size_t replica = i / 12 / 4;
    EXPECT_EQ(rows[i], rows[replica * 4 * 12 + i % 12]);
  }
  EXPECT_NE(rows[0], rows[4 * 12]);
}

/// Scales that are powers of two lose nothing, even in bf16.
TEST_F(GranularExpertsTest, ScalingByPowersOfTwoIsExactInBf16) {
  const ModelSource dense = random_source(tiny_dense(), DType::BF16);
  const ModelSource sparse = grown(dense, granular({2, 8, 8}));
  const ExpertScale scale = exact_scale(8, dense.config);
  const auto up = testing::values_of(*sparse.weights, "layers.0.moe.experts.gate_up.weight");
  const auto original = testing::values_of(*dense.weights, "layers.0.mlp.gate_up.weight");
  // Expert 1 of 16, up half, shard 1 of 8: three rows from row 3 on.
  for (std::size_t i = 0; i < 3 * 12; ++i) {
    EXPECT_EQ(up[(1 * 2 + 1) * 3 * 12 + i], original[(24 + 3) * 12 + i] * scale.up);
  }
}

}  // namespace
}  // namespace moe::growth
