#include "ops/arithmetic.h"

#include "autograd/gradcheck.h"
#include "autograd/tape.h"
#include "base/error.h"
#include "support/context_test.h"
#include "support/expect_close.h"

namespace moe {
namespace {

using testing::random_tensor;
using Inputs = std::span<const Variable>;
using Outputs = std::vector<Variable>;

class ArithmeticOps : public testing::ContextTest {};

TEST_F(ArithmeticOps, BackwardIsTheDerivative) {
  const Tensor a = random_tensor("a", {3, 4});
  const Tensor b = random_tensor("b", {3, 4});
  const Tensor gate = random_tensor("gate", {3, 1}, DType::F64, 2.0);
  const Tensor pair[] = {a, b};
  EXPECT_EQ("", gradcheck([](Inputs in) { return Outputs{ops::add(in[0], in[1])}; }, pair));
  // The same variable twice: both contributions arrive.
  EXPECT_EQ("", gradcheck([](Inputs in) { return Outputs{ops::add(in[0], in[0])}; }, {&a, 1}));
  EXPECT_EQ("", gradcheck([](Inputs in) { return Outputs{ops::clamp(in[0], 0.5)}; }, {&a, 1}));
  const Tensor gated[] = {gate, a};
  EXPECT_EQ("", gradcheck([](Inputs in) { return Outputs{ops::sigmoid_gate(in[0], in[1])}; }, gated));
  const Tensor scalars[] = {random_tensor("s", {1}), random_tensor("t", {1})};
  const double weights[] = {0.5, -2.0};
  EXPECT_EQ("", gradcheck([&](Inputs in) { return Outputs{ops::weighted_sum(in, weights)}; }, scalars));
}

TEST_F(ArithmeticOps, CastGradientComesBackInTheInputsType) {
  const Variable x = Variable::input(random_tensor("x", {5}, DType::BF16));
  Tape tape;
  Variable y;
  {
    const TapeScope scope(&tape);
    y = ops::cast(x, DType::F32);
  }
  EXPECT_TRUE(testing::same_bits(y.value(), x.value().to(DType::F32)));
  const Tensor seed;
  tape.backward({&y, 1}, {&seed, 1});
  EXPECT_EQ(x.gradient().dtype(), DType::BF16);
  for (const double value : x.gradient().to_vector()) EXPECT_EQ(value, 1.0);
}

TEST_F(ArithmeticOps, RefuseMismatchedShapes) {
  const Variable a(random_tensor("a", {3, 4}));
  EXPECT_THROW(ops::add(a, Variable(random_tensor("b", {4, 3}))), ShapeError);
  EXPECT_THROW(ops::sigmoid_gate(Variable(random_tensor("g", {2, 1})), a), ShapeError);
}

}  // namespace
}  // namespace moe
