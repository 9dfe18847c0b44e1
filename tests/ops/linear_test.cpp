#include "ops/linear.h"

#include "autograd/gradcheck.h"
#include "autograd/tape.h"
#include "base/error.h"
#include "support/context_test.h"
#include "support/expect_close.h"

namespace moe {
namespace {

using testing::random_leaf;
using testing::random_tensor;

class LinearOp : public testing::ContextTest {};

TEST_F(LinearOp, BackwardIsTheDerivative) {
  for (const std::int64_t rows : {1, 3}) {
    const auto weight = random_leaf("weight", {4, 5});
    const auto bias = random_leaf("bias", {4});
    Leaf* leaves[] = {weight.get(), bias.get()};
    const Tensor inputs[] = {random_tensor("x", {rows, 5})};
    EXPECT_EQ("", gradcheck(
                      [&](std::span<const Variable> in) {
                        return std::vector{ops::linear(in[0], *weight, bias.get())};
                      },
                      inputs, leaves));
  }
}

TEST_F(LinearOp, NoRowsGiveAnExactZeroWeightGradient) {
  const auto weight = random_leaf("weight", {4, 5}, DType::F32);
  Tape tape;
  Variable y;
  {
    const TapeScope scope(&tape);
    y = ops::linear(Variable::input(random_tensor("x", {0, 5}, DType::F32)), *weight);
  }
  const Tensor seed;
  tape.backward({&y, 1}, {&seed, 1});
  for (const double value : weight->gradient().to_vector()) EXPECT_EQ(value, 0.0);
}

TEST_F(LinearOp, SinglePrecisionAgreesWithDouble) {
  const Tensor x = random_tensor("x", {33, 70}, DType::F32);
  const Leaf weight("w", random_tensor("weight", {17, 70}, DType::F32));
  for (const DType dtype : {DType::F32, DType::BF16}) {
    Leaf narrow("w", weight.value().to(dtype));
    Leaf wide("w", narrow.value().to(DType::F64));
    const Tensor y = ops::linear(Variable(x.to(dtype)), narrow).value();
    const Tensor expected = ops::linear(Variable(x.to(dtype).to(DType::F64)), wide).value();
    EXPECT_TRUE(testing::close_to(y, expected, dtype, 70));
  }
}

TEST_F(LinearOp, RefusesAWrongWidthAndAWrongDtype) {
  const auto weight = random_leaf("weight", {4, 5}, DType::F32);
  EXPECT_THROW(ops::linear(Variable(random_tensor("x", {2, 6}, DType::F32)), *weight), ShapeError);
  EXPECT_THROW(ops::linear(Variable(random_tensor("x", {2, 5}, DType::F64)), *weight), DTypeError);
}

}  // namespace
}  // namespace moe
