#include "growth/align_neurons.h"

#include "growth/tiny_models.h"

namespace moe::growth {
namespace {

constexpr std::int64_t kHidden = 40;
constexpr std::int64_t kWidth = 9;

/// Expert 1 is expert 0 with neuron order[i] at place i; expert 2 is another.
ModelSource permuted_pair(const std::vector<std::int32_t>& order, double noise) {
  ModelConfig config = testing::tiny_sparse(3, 2);
  config.hidden_size = kWidth;
  config.num_hidden_layers = 1;
  config.intermediate_size = kHidden;
  const Random random(5, "noise");
  return testing::in_memory(
      testing::random_source(config), [&](const std::string& name, std::vector<double>& values) {
        const bool down = name.ends_with("experts.down.weight");
        if (!down && !name.ends_with("experts.gate_up.weight")) return;
        const std::size_t each = values.size() / 3;
        for (std::size_t i = 0; i < each; ++i) {
          const std::size_t place = down ? i % kHidden : i / kWidth % kHidden;
          const auto neuron = static_cast<std::size_t>(order[place]);
          const std::size_t from = down ? i / kHidden * kHidden + neuron
                                        : (i / kWidth / kHidden * kHidden + neuron) * kWidth +
                                              i % kWidth;
          values[each + i] = values[from] + noise * random.normal(i);
        }
      });
}

std::vector<std::int32_t> shuffled() {
  std::vector<std::int32_t> order(kHidden);
  for (std::size_t i = 0; i < order.size(); ++i) {
    order[i] = static_cast<std::int32_t>(permuted_index(kHidden, i, Random(2, "order")));
  }
  return order;
}

TEST(AlignNeurons, FindsTheOrderOfAPermutedCopy) {
  for (const double noise : {0.0, 0.05}) {
    const auto order = shuffled();
    const ModelSource source = permuted_pair(order, noise);
    const StackedExperts experts{*source.weights, "layers.0.moe.experts.gate_up.weight",
                                 "layers.0.moe.experts.down.weight"};
    const auto found = align_neurons(experts, 0, 1);
    for (std::size_t place = 0; place < order.size(); ++place) {
      EXPECT_EQ(found[static_cast<std::size_t>(order[place])], static_cast<std::int32_t>(place));
    }
  }
}

TEST(AlignNeurons, AnExpertIsAlignedWithItself) {
  const ModelSource source = permuted_pair(shuffled(), 0.0);
  const StackedExperts experts{*source.weights, "layers.0.moe.experts.gate_up.weight",
                               "layers.0.moe.experts.down.weight"};
  const auto found = align_neurons(experts, 2, 2);
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i], static_cast<std::int32_t>(i));
  }
}

}  // namespace
}  // namespace moe::growth
