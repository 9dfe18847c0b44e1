// Drop-upcycling, property 7 of growth: what is kept, what is drawn, and how it is distributed.
#include "growth/drop_experts.h"

#include <map>
#include <set>

#include "growth/computed_source.h"
#include "growth/neuron_statistics.h"
#include "growth/sparsify.h"
#include "growth/tiny_models.h"
#include "support/tolerance.h"

namespace moe::growth {
namespace {

using testing::random_source;
using testing::tiny_dense;
using testing::values_of;

class DropExpertsTest : public testing::ContextTest {};

constexpr std::int64_t kExperts = 6;

ModelSource dropped(const ModelSource& source, double ratio, const char* index = "shared",
                    bool renormalise = true) {
  const auto stage = make_sparsify({.method = "drop",
                                    .num_experts = kExperts,
                                    .norm_topk_prob = renormalise,
                                    .ratio = ratio,
                                    .index = index});
  return {stage->grow(source.config), stage->apply(source, {.seed = 5, .index = 2})};
}

ModelConfig wide() {
  ModelConfig config = tiny_dense();
  config.num_hidden_layers = 1;
  config.intermediate_size = 120;
  return config;
}

/// One layer's matrices with a neuron in each row: gate, up, down.
using Neurons = std::array<std::vector<std::vector<double>>, 3>;

Neurons neurons_of(const checkpoint::TensorSource& source, const std::string& gate_up,
                   const std::string& down, std::int64_t expert, const ModelConfig& config) {
  const std::int64_t hidden = config.intermediate_size;
  const std::int64_t width = config.hidden_size;
  const auto rows = values_of(source, gate_up);
  const auto columns = values_of(source, down);
  Neurons neurons;
  for (std::int64_t f = 0; f < hidden; ++f) {
    for (std::size_t half = 0; half < 2; ++half) {
      const std::int64_t at = ((expert * 2 + static_cast<std::int64_t>(half)) * hidden + f) * width;
      neurons[half].emplace_back(rows.begin() + at, rows.begin() + at + width);
    }
    std::vector<double> column;
    for (std::int64_t d = 0; d < width; ++d) {
      column.push_back(columns[static_cast<std::size_t>((expert * width + d) * hidden + f)]);
    }
    neurons[2].push_back(column);
  }
  return neurons;
}
Neurons expert_of(const ModelSource& sparse, std::int64_t expert) {
  return neurons_of(*sparse.weights, "layers.0.moe.experts.gate_up.weight",
                    "layers.0.moe.experts.down.weight", expert, sparse.config);
}
Neurons dense_of(const ModelSource& dense) {
  return neurons_of(*dense.weights, "layers.0.mlp.gate_up.weight", "layers.0.mlp.down.weight", 0,
                    dense.config);
}

/// For each place, the neuron of the source that stands there bit by bit, or -1.
std::vector<std::int64_t> origins(const std::vector<std::vector<double>>& expert,
                                  const std::vector<std::vector<double>>& source) {
  std::map<std::vector<double>, std::int64_t> known;
  for (std::size_t f = 0; f < source.size(); ++f) known[source[f]] = static_cast<std::int64_t>(f);
  std::vector<std::int64_t> found;
  for (const auto& neuron : expert) {
    const auto at = known.find(neuron);
    found.push_back(at == known.end() ? -1 : at->second);
  }
  return found;
}

TEST_F(DropExpertsTest, Property7ExactlyTheGivenShareIsDrawnAnewInOneSet) {
  for (const double ratio : {0.1, 0.5, 0.77, 1.0}) {
    const ModelSource dense = random_source(wide());
    const ModelSource sparse = dropped(dense, ratio);
    testing::expect_complete(sparse);
    const Neurons source = dense_of(dense);
    for (std::int64_t e = 0; e < kExperts; ++e) {
      const Neurons expert = expert_of(sparse, e);
      const auto gate = origins(expert[0], source[0]);
      EXPECT_EQ(std::ranges::count(gate, -1), static_cast<std::int64_t>(ratio * 120));
      EXPECT_EQ(gate, origins(expert[1], source[1]));
      EXPECT_EQ(gate, origins(expert[2], source[2]));
      std::set<std::int64_t> kept(gate.begin(), gate.end());
      kept.erase(-1);
      EXPECT_EQ(std::ssize(kept), 120 - static_cast<std::int64_t>(ratio * 120));
    }
  }
}

TEST_F(DropExpertsTest, Property7KeptNeuronsStandInThePlannedOrder) {
  const ModelSource dense = random_source(wide());
  const ModelSource sparse = dropped(dense, 0.5);
  const DropSpec spec{.ratio = 0.5, .seed = 5, .stage = 2};
  const Neurons source = dense_of(dense);
  for (std::int64_t e = 0; e < kExperts; ++e) {
    const DropPlan plan = drop_plan(spec, 0, e, 120);
    const auto found = origins(expert_of(sparse, e)[0], source[0]);
    for (std::size_t place = 0; place < found.size(); ++place) {
      EXPECT_EQ(found[place], plan.redrawn[0][place] ? -1 : plan.order[place]);
    }
  }
}

TEST_F(DropExpertsTest, Property7IndependentDrawsThreeSets) {
  const ModelSource dense = random_source(wide());
  const ModelSource sparse = dropped(dense, 0.5, "independent");
  const Neurons source = dense_of(dense);
  std::int64_t intact = 0;
  for (std::int64_t e = 0; e < kExperts; ++e) {
    const Neurons expert = expert_of(sparse, e);
    std::array<std::vector<std::int64_t>, 3> from;
    for (std::size_t m = 0; m < 3; ++m) {
      from[m] = origins(expert[m], source[m]);
      EXPECT_EQ(std::ranges::count(from[m], -1), 60);
    }
    EXPECT_NE(from[0], from[1]);
    EXPECT_NE(from[1], from[2]);
    for (std::size_t place = 0; place < 120; ++place) {
      const bool kept = from[0][place] >= 0 && from[1][place] >= 0 && from[2][place] >= 0;
      intact += kept ? 1 : 0;
      if (!kept) continue;
      EXPECT_EQ(from[0][place], from[1][place]);
      EXPECT_EQ(from[0][place], from[2][place]);
    }
  }
  // (1 - r)^3 of the neurons, within three standard deviations.
  const double share = static_cast<double>(intact) / static_cast<double>(kExperts * 120);
  EXPECT_NEAR(share, 0.125, 3 * std::sqrt(0.125 * 0.875 / static_cast<double>(kExperts * 120)));
}

TEST_F(DropExpertsTest, Property7DrawnElementsHaveTheMomentsOfTheReplaced) {
  ModelConfig config = wide();
  config.hidden_size = 64;
  config.intermediate_size = 256;
  const ModelSource shifted = testing::in_memory(
      random_source(config), [](const std::string& name, std::vector<double>& values) {
        // Means far from zero, and another scale for every matrix.
        if (name.ends_with("mlp.down.weight")) {
          for (double& value : values) value = value * 3 + 1;
        }
        if (name.ends_with("mlp.gate_up.weight")) {
          for (std::size_t i = 0; i < values.size() / 2; ++i) values[i] = values[i] * 0.1 - 2;
        }
      });
  const ModelSource sparse = dropped(shifted, 0.4);
  const DropSpec spec{.ratio = 0.4, .seed = 5, .stage = 2};
  const Neurons source = dense_of(shifted);
  for (std::int64_t e = 0; e < kExperts; ++e) {
    const DropPlan plan = drop_plan(spec, 0, e, 256);
    const Neurons expert = expert_of(sparse, e);
    for (std::size_t m = 0; m < 3; ++m) {
      Moments before;
      Moments after;
      for (std::size_t place = 0; place < 256; ++place) {
        if (!plan.redrawn[m][place]) continue;
        const auto& replaced = source[m][static_cast<std::size_t>(plan.order[place])];
        for (const double v : replaced) before.mean += v, ++before.count;
        for (const double v : expert[m][place]) after.mean += v, ++after.count;
      }
      const auto count = static_cast<double>(before.count);
      ASSERT_EQ(after.count, before.count);
      before.mean /= count;
      after.mean /= count;
      for (std::size_t place = 0; place < 256; ++place) {
        if (!plan.redrawn[m][place]) continue;
        for (const double v : source[m][static_cast<std::size_t>(plan.order[place])]) {
          before.squares += (v - before.mean) * (v - before.mean);
        }
        for (const double v : expert[m][place]) {
          after.squares += (v - after.mean) * (v - after.mean);
        }
      }
      const double deviation = before.deviation();
      EXPECT_NEAR(after.mean, before.mean, 3 * deviation / std::sqrt(count)) << m;
      EXPECT_NEAR(after.deviation(), deviation, 3 * deviation / std::sqrt(2 * count)) << m;
    }
  }
}

TEST_F(DropExpertsTest, Property7OverlapOfTwoExperts) {
  const double ratio = 0.3;
  const std::int64_t hidden = 2000;
  const DropSpec spec{.ratio = ratio, .seed = 1};
  std::vector<std::set<std::int32_t>> kept;
  for (std::int64_t e = 0; e < 5; ++e) {
    const DropPlan plan = drop_plan(spec, 3, e, hidden);
    kept.emplace_back();
    for (std::size_t place = 0; place < plan.order.size(); ++place) {
      if (!plan.redrawn[0][place]) kept.back().insert(plan.order[place]);
    }
  }
  const double share = (1 - ratio) * (1 - ratio);
  const double deviation = std::sqrt(share * (1 - share) / static_cast<double>(hidden));
  for (std::size_t a = 0; a < kept.size(); ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      const auto both = std::ranges::count_if(kept[a], [&](auto f) { return kept[b].contains(f); });
      EXPECT_NEAR(static_cast<double>(both) / static_cast<double>(hidden), share, 3 * deviation);
    }
  }
}

TEST_F(DropExpertsTest, Property7WithoutAShareItIsCopying) {
  const ModelSource dense = random_source(tiny_dense(), DType::F64);
  const auto copy = make_sparsify({.num_experts = kExperts});
  const ModelSource copied{copy->grow(dense.config),
                           copy->apply(dense, {.seed = 5, .index = 2})};
  EXPECT_TRUE(testing::same_weights(*dropped(dense, 0.0).weights, *copied.weights));
  EXPECT_TRUE(testing::same_weights(*dropped(dense, 0.04).weights, *copied.weights));
  EXPECT_TRUE(make_sparsify({.method = "drop", .ratio = 0})->keeps_function(dense.config));
  EXPECT_FALSE(make_sparsify({.method = "drop", .ratio = 0.1})->keeps_function(dense.config));
}

TEST_F(DropExpertsTest, OrderAloneKeepsTheFunction) {
  const ModelSource dense = random_source(wide(), DType::F64);
  const ModelSource sparse = dropped(dense, 0.5);
  // Undo the drawing only: put the source's neurons where the plan's order wants them.
  const DropSpec spec{.ratio = 0.5, .seed = 5, .stage = 2};
  const Neurons source = dense_of(dense);
  const ModelSource ordered =
      testing::in_memory(sparse, [&](const std::string& name, std::vector<double>& values) {
        const bool down = name.ends_with("experts.down.weight");
        if (!down && !name.ends_with("experts.gate_up.weight")) return;
        for (std::size_t i = 0; i < values.size(); ++i) {
          const std::size_t expert = i / (down ? 12 * 120 : 2 * 120 * 12);
          const auto order = drop_plan(spec, 0, static_cast<std::int64_t>(expert), 120).order;
          const std::size_t place = down ? i % 120 : i / 12 % 120;
          const std::size_t matrix = down ? 2 : i / (120 * 12) % 2;
          const std::size_t element = down ? i / 120 % 12 : i % 12;
          values[i] = source[matrix][static_cast<std::size_t>(order[place])][element];
        }
      });
  EXPECT_LE(testing::relative_difference(dense, ordered), testing::kExactGrowthF64);
}

TEST_F(DropExpertsTest, ScalesReachDrawnNeuronsToo) {
  const ModelSource dense = random_source(wide());
  const auto plain = expert_of(dropped(dense, 0.5), 1);
  const auto scaled = expert_of(dropped(dense, 0.5, "shared", false), 1);
  const ExpertScale scale = exact_scale(3.0, dense.config);
  const double factors[] = {scale.gate, scale.up, scale.down};
  for (std::size_t m = 0; m < 3; ++m) {
    for (std::size_t f = 0; f < 120; ++f) {
      for (std::size_t i = 0; i < 12; ++i) {
        EXPECT_NEAR(scaled[m][f][i], factors[m] * plain[m][f][i],
                    testing::tolerance(DType::F32) * std::abs(factors[m] * plain[m][f][i]));
      }
    }
  }
}

TEST_F(DropExpertsTest, PlansDifferByLayerExpertAndStage) {
  const DropSpec spec{.ratio = 0.5, .seed = 1, .stage = 0};
  const auto order = drop_plan(spec, 0, 0, 50).order;
  DropSpec later = spec;
  later.stage = 1;
  EXPECT_NE(order, drop_plan(spec, 1, 0, 50).order);
  EXPECT_NE(order, drop_plan(spec, 0, 1, 50).order);
  EXPECT_NE(order, drop_plan(later, 0, 0, 50).order);
  EXPECT_EQ(order, drop_plan(spec, 0, 0, 50).order);
}

TEST_F(DropExpertsTest, PooledMomentsAreThoseOfAllElements) {
  const std::vector<Moments> neurons{{1, 2, 2}, {5, 0, 2}, {100, 7, 2}};
  const std::vector<std::int32_t> chosen{0, 1};
  const Moments both = pooled(neurons, chosen, 2);  // elements 0, 2 and 5, 5
  EXPECT_EQ(both.count, 4);
  EXPECT_EQ(both.mean, 3);
  EXPECT_EQ(both.squares, 9 + 1 + 4 + 4);
  EXPECT_EQ(pooled(neurons, {}, 2).deviation(), 0);
}

}  // namespace
}  // namespace moe::growth
