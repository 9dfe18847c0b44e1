#include "nn/mlp.h"

#include "autograd/gradcheck.h"
#include "base/format.h"
#include "support/context_test.h"
#include "support/expect_close.h"
#include "support/naive_transformer.h"

namespace moe::nn {
namespace {

using ops::ActivationKind;
using testing::random_tensor;

class MlpModule : public testing::ContextTest {};

struct Act {
  const char* name;
  ActivationKind kind;
};
constexpr Act kActs[] = {{"silu", ActivationKind::Silu},
                         {"gelu", ActivationKind::GeluErf},
                         {"gelu_pytorch_tanh", ActivationKind::GeluTanh},
                         {"relu2", ActivationKind::Relu2}};

void materialize(Module& module) {
  for (Parameter* p : module.parameters()) p->materialize(DType::F64, 1);
}

TEST_F(MlpModule, EqualsThePlainFormula) {
  for (const Act& act : kActs) {
    for (const bool gated : {true, false}) {
      for (const std::int64_t tokens : {0, 1, 5}) {
        SCOPED_TRACE(format("{} gated {} tokens {}", act.name, gated, tokens));
        Mlp mlp({.name = "m",
                 .width = 3,
                 .hidden = 7,
                 .activation = act.kind,
                 .gated = gated,
                 .deviation = 0.8,
                 .output_deviation = 0.5});
        materialize(mlp);
        const std::vector<Parameter*> weights = mlp.parameters();
        const Tensor x = random_tensor("x", {tokens, 3});
        const auto expected =
            testing::naive::mlp(x.to_vector(), weights[0]->master().to_vector(),
                                weights[1]->master().to_vector(), 3, gated, act.name);
        EXPECT_TRUE(testing::close_to(mlp.forward(Variable(x)).value(),
                                      Tensor::from(expected, {tokens, 3}, DType::F64), DType::F64,
                                      3 * 7));
      }
    }
  }
}

TEST_F(MlpModule, DeclaresGateAndUpAsOneAndDownWithItsOwnDeviation) {
  for (const bool gated : {true, false}) {
    Mlp mlp({.name = "m",
             .width = 3,
             .hidden = 7,
             .gated = gated,
             .kind = ParameterKind::Mlp,
             .deviation = 0.8,
             .output_deviation = 0.5});
    const std::vector<Parameter*> all = mlp.parameters();
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0]->name(), "m.gate_up.weight");
    EXPECT_EQ(all[0]->spec().shape, (Shape{gated ? 2 : 1, 7, 3}));
    EXPECT_EQ(all[0]->spec().initializer.deviation, 0.8);
    EXPECT_EQ(all[1]->name(), "m.down.weight");
    EXPECT_EQ(all[1]->spec().shape, (Shape{3, 7}));
    EXPECT_EQ(all[1]->spec().initializer.deviation, 0.5);
    for (const Parameter* p : all) {
      EXPECT_EQ(p->spec().placement, Placement().split(1, Role::Hidden)) << p->name();
      EXPECT_EQ(p->kind(), ParameterKind::Mlp) << p->name();
    }
  }
}

TEST_F(MlpModule, BackwardIsTheDerivative) {
  Mlp mlp({.name = "m", .width = 3, .hidden = 4, .deviation = 0.8, .output_deviation = 0.5});
  materialize(mlp);
  std::vector<Leaf*> leaves;
  for (Parameter* p : mlp.parameters()) leaves.push_back(p);
  const Tensor x = random_tensor("x", {2, 3});
  EXPECT_EQ("",
            gradcheck([&](std::span<const Variable> in) { return std::vector{mlp.forward(in[0])}; },
                      {&x, 1}, leaves));
}

}  // namespace
}  // namespace moe::nn
