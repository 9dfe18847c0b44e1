#include "moe/experts.h"

#include "autograd/gradcheck.h"
#include "base/format.h"
#include "support/context_test.h"
#include "support/expect_close.h"
#include "support/naive_transformer.h"

namespace moe {
namespace {

namespace naive = testing::naive;
using testing::ids;
using testing::random_tensor;

class ExpertsTest : public testing::ContextTest {};

constexpr std::int64_t kWidth = 3;
constexpr std::int64_t kHidden = 4;
constexpr std::int64_t kExperts = 4;

ExpertsSpec spec_of(ops::ActivationKind activation, bool gated) {
  return {.name = "e",
          .experts = kExperts,
          .width = kWidth,
          .hidden = kHidden,
          .activation = activation,
          .gated = gated,
          .deviation = 0.9,
          .output_deviation = 0.4};
}

/// Rows 2 0 1 2 of three sources; expert 0 has two, 1 none, 2 and 3 one each.
Dispatched dispatched(const Variable& source, const Variable& weight) {
  return {source,
          {ids({2, 0, 1, 2}, {4}), ids({1, -1, 2, -1, 0, 3}, {3, 2})},
          ids({0, 2, 2, 3, 4}, {5}),
          weight};
}

TEST_F(ExpertsTest, EveryRowGoesThroughItsExpertTimesItsWeight) {
  for (const bool gated : {true, false}) {
    for (const auto& [name, kind] :
         {std::pair{"silu", ops::ActivationKind::Silu}, {"relu2", ops::ActivationKind::Relu2}}) {
      SCOPED_TRACE(format("{} gated {}", name, gated));
      Experts experts(spec_of(kind, gated));
      for (nn::Parameter* p : experts.parameters()) p->materialize(DType::F64, 2);
      const Tensor source = random_tensor("x", {3, kWidth});
      const Tensor weight = random_tensor("w", {4});
      const Variable y = experts.forward(dispatched(Variable(source), Variable(weight)));
      const naive::Numbers x = source.to_vector();
      const naive::Numbers gate_up = experts.parameters()[0]->master().to_vector();
      const naive::Numbers down = experts.parameters()[1]->master().to_vector();
      naive::Numbers expected;
      const std::pair<std::int64_t, std::int64_t> rows[] = {{2, 0}, {0, 0}, {1, 2}, {2, 3}};
      for (std::size_t r = 0; r < 4; ++r) {
        const auto [token, expert] = rows[r];
        const auto part = [](const naive::Numbers& all, std::int64_t i, std::int64_t count) {
          const auto size = static_cast<std::ptrdiff_t>(all.size()) / count;
          return naive::Numbers(all.begin() + i * size, all.begin() + (i + 1) * size);
        };
        for (const double value : naive::mlp(part(x, token, 3), part(gate_up, expert, kExperts),
                                             part(down, expert, kExperts), kWidth, gated, name))
          expected.push_back(value * weight.to_vector()[r]);
      }
      EXPECT_TRUE(testing::close_to(y.value(), Tensor::from(expected, {4, kWidth}, DType::F64),
                                    DType::F64, kWidth * kHidden));
    }
  }
}

TEST_F(ExpertsTest, BackwardReachesSourcesWeightsAndBothProjections) {
  for (const bool gated : {true, false}) {
    Experts experts(spec_of(ops::ActivationKind::Silu, gated));
    std::vector<Leaf*> leaves;
    for (nn::Parameter* p : experts.parameters()) {
      p->materialize(DType::F64, 2);
      leaves.push_back(p);
    }
    const Tensor inputs[] = {random_tensor("x", {3, kWidth}), random_tensor("w", {4})};
    EXPECT_EQ("", gradcheck(
                      [&](std::span<const Variable> in) {
                        return std::vector{experts.forward(dispatched(in[0], in[1]))};
                      },
                      inputs, leaves));
  }
}

TEST_F(ExpertsTest, NoRowsAreNoResults) {
  Experts experts(spec_of(ops::ActivationKind::Silu, true));
  for (nn::Parameter* p : experts.parameters()) p->materialize(DType::F64, 2);
  const Dispatched nothing{Variable(Tensor::empty({0, kWidth}, DType::F64)),
                           {ids({}, {0}), ids({}, {0, 2})},
                           ids({0, 0, 0, 0, 0}, {5}),
                           Variable(Tensor::empty({0}, DType::F64))};
  EXPECT_EQ(experts.forward(nothing).shape(), (Shape{0, kWidth}));
}

TEST_F(ExpertsTest, DeclaresLogicalShapesThatCanBeCutByExpertAndHidden) {
  for (const bool gated : {true, false}) {
    Experts experts(spec_of(ops::ActivationKind::Silu, gated));
    const std::vector<nn::Parameter*> all = experts.parameters();
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0]->name(), "e.gate_up.weight");
    EXPECT_EQ(all[0]->spec().shape, (Shape{kExperts, gated ? 2 : 1, kHidden, kWidth}));
    EXPECT_EQ(all[0]->spec().initializer.deviation, 0.9);
    EXPECT_EQ(all[1]->name(), "e.down.weight");
    EXPECT_EQ(all[1]->spec().shape, (Shape{kExperts, kWidth, kHidden}));
    EXPECT_EQ(all[1]->spec().initializer.deviation, 0.4);
    for (const nn::Parameter* p : all) {
      EXPECT_EQ(p->spec().placement, Placement().split(0, Role::Expert).split(2, Role::Hidden));
      EXPECT_EQ(p->kind(), ParameterKind::Expert);
    }
  }
}

}  // namespace
}  // namespace moe
