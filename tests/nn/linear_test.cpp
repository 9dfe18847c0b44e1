#include "nn/linear.h"

#include "autograd/gradcheck.h"
#include "autograd/tape.h"
#include "base/error.h"
#include "support/context_test.h"
#include "support/expect_close.h"
#include "support/naive_transformer.h"

namespace moe::nn {
namespace {

using testing::random_tensor;

class LinearModule : public testing::ContextTest {};

/// Materialised, every parameter random: a bias starts as zeros, which would hide it.
void fill(Module& module, DType dtype = DType::F64) {
  for (Parameter* p : module.parameters()) {
    p->materialize(dtype, 1);
    p->master().copy_from(random_tensor(p->name(), p->spec().shape, DType::F64));
    p->publish();
  }
}

TEST_F(LinearModule, EqualsThePlainLoop) {
  struct Row {
    Shape weight;
    bool bias;
    Shape x;
  };
  const Row rows[] = {
      {{5, 3}, false, {4, 3}}, {{5, 3}, true, {4, 3}},    {{1, 7}, true, {1, 7}},
      {{3, 1}, true, {2, 1}},  {{2, 3, 4}, true, {3, 4}}, {{5, 3}, true, {0, 3}},
  };
  for (const Row& row : rows) {
    Linear linear({.name = "l", .weight = row.weight, .bias = row.bias});
    fill(linear);
    const Tensor x = random_tensor("x", row.x);
    const Variable y = linear.forward(Variable(x));
    const std::int64_t inputs = row.weight[-1];
    const auto expected = testing::naive::linear(
        x.to_vector(), linear.weight().master().to_vector(), inputs,
        row.bias ? linear.bias()->master().to_vector() : std::vector<double>{});
    ASSERT_EQ(y.value().shape(), (Shape{row.x[0], row.weight.numel() / inputs}));
    EXPECT_TRUE(testing::close_to(y.value(), Tensor::from(expected, y.shape(), DType::F64),
                                  DType::F64, inputs));
  }
}

TEST_F(LinearModule, DeclaresWeightAndBias) {
  const Placement weight = Placement().split(1, Role::Hidden);
  const Placement bias = Placement().split(0, Role::Heads);
  Linear linear({.name = "a.b",
                 .weight = {2, 3, 4},
                 .kind = ParameterKind::Attention,
                 .placement = weight,
                 .bias_placement = bias,
                 .deviation = 0.3,
                 .bias = true});
  const std::vector<Parameter*> all = linear.parameters();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0]->name(), "a.b.weight");
  EXPECT_EQ(all[0]->kind(), ParameterKind::Attention);
  EXPECT_EQ(all[0]->spec().placement, weight);
  EXPECT_EQ(all[0]->spec().initializer.kind, Initializer::Kind::Normal);
  EXPECT_EQ(all[0]->spec().initializer.deviation, 0.3);
  EXPECT_EQ(all[1]->name(), "a.b.bias");
  EXPECT_EQ(all[1]->kind(), ParameterKind::Bias);
  EXPECT_EQ(all[1]->spec().shape, (Shape{6})) << "one for each output, leading dims flattened";
  EXPECT_EQ(all[1]->spec().placement, bias);
  EXPECT_EQ(all[1]->spec().initializer.kind, Initializer::Kind::Zeros);
  Linear plain({.name = "p", .weight = {2, 3}});
  EXPECT_EQ(plain.bias(), nullptr);
  EXPECT_EQ(plain.parameters().size(), 1U);
}

TEST_F(LinearModule, BackwardReachesInputWeightAndBias) {
  Linear linear({.name = "l", .weight = {3, 4}, .bias = true});
  fill(linear);
  const Tensor x = random_tensor("x", {5, 4});
  Leaf* leaves[] = {&linear.weight(), linear.bias()};
  EXPECT_EQ(
      "",
      gradcheck([&](std::span<const Variable> in) { return std::vector{linear.forward(in[0])}; },
                {&x, 1}, leaves));
}

TEST_F(LinearModule, GradientsOfSeveralPassesAddUpUntilCleared) {
  Linear linear({.name = "l", .weight = {3, 4}, .bias = true});
  fill(linear);
  const auto pass = [&](const char* name) {
    Tape tape;
    Variable y;
    {
      const TapeScope scope(&tape);
      y = linear.forward(Variable(random_tensor(name, {5, 4})));
    }
    const Tensor dy = random_tensor(std::string("d") + name, {5, 3});
    tape.backward({&y, 1}, {&dy, 1});
  };
  for (Parameter* p : linear.parameters()) {
    const auto alone = [&](const char* name) {
      p->clear_written();
      pass(name);
      return p->gradient().to_vector();
    };
    const std::vector<double> sum = testing::naive::add(alone("a"), alone("b"));
    p->clear_written();
    pass("a");
    pass("b");
    EXPECT_TRUE(testing::close_to(p->gradient(), Tensor::from(sum, p->spec().shape, DType::F64),
                                  DType::F64, 10))
        << p->name();
  }
}

TEST_F(LinearModule, RefusesAnotherWidth) {
  Linear linear({.name = "l", .weight = {3, 4}});
  fill(linear);
  EXPECT_THROW(linear.forward(Variable(random_tensor("x", {2, 5}))), ShapeError);
}

}  // namespace
}  // namespace moe::nn
