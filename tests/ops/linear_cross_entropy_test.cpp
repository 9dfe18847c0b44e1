#include "ops/linear_cross_entropy.h"

#include <cmath>

#include "autograd/gradcheck.h"
#include "autograd/tape.h"
#include "base/error.h"
#include "ops/linear.h"
#include "support/context_test.h"
#include "support/expect_close.h"

namespace moe {
namespace {

using testing::ids;
using testing::random_leaf;
using testing::random_tensor;

class LinearCrossEntropyOp : public testing::ContextTest {};

TEST_F(LinearCrossEntropyOp, BackwardIsTheDerivative) {
  const auto weight = random_leaf("weight", {6, 4});
  Leaf* leaves[] = {weight.get()};
  const Tensor x = random_tensor("x", {3, 4});
  const Tensor target = ids({5, -100, 0}, {3});
  EXPECT_EQ("", gradcheck(
                    [&](std::span<const Variable> in) {
                      return std::vector{
                          ops::linear_cross_entropy(in[0], *weight, target, 0.25).loss};
                    },
                    {&x, 1}, leaves));
}

TEST_F(LinearCrossEntropyOp, EqualsTheLogarithmOfSoftmaxOverManyChunks) {
  const auto weight = random_leaf("weight", {30000, 8}, DType::F32);
  const Tensor x = random_tensor("x", {150, 8}, DType::F32);
  const Tensor target = testing::random_ids("target", 150, 30000);
  const ops::HeadLoss head = ops::linear_cross_entropy(Variable(x), *weight, target, 0.5);
  const auto logits = ops::linear(Variable(x), *weight).value().to_vector();
  double total = 0.0;
  for (std::size_t t = 0; t < 150; ++t) {
    double sum = 0.0;
    for (std::size_t v = 0; v < 30000; ++v) sum += std::exp(logits[t * 30000 + v]);
    const auto wanted = static_cast<std::size_t>(target.span<std::int32_t>()[t]);
    total += std::log(sum) - logits[t * 30000 + wanted];
  }
  const Tensor expected = Tensor::full({1}, DType::F64, total * 0.5);
  EXPECT_TRUE(testing::close_to(head.loss.value(), expected, DType::F32, 30000));
}

/// 9000 columns make chunks of 192 rows: 400 rows are two whole chunks and a part of one.
TEST_F(LinearCrossEntropyOp, GradientsOfManyChunksAreThoseOfTheWhole) {
  constexpr std::size_t kRows = 400;
  constexpr std::size_t kVocab = 9000;
  constexpr std::size_t kWidth = 4;
  const auto weight = random_leaf("weight", {kVocab, kWidth}, DType::F64);
  const Variable x = Variable::input(random_tensor("x", {kRows, kWidth}));
  const Tensor target = testing::random_ids("target", kRows, kVocab);
  target.span<std::int32_t>()[7] = -100;
  Tape tape;
  Variable loss;
  {
    const TapeScope scope(&tape);
    loss = ops::linear_cross_entropy(x, *weight, target, 0.5).loss;
  }
  tape.backward(loss);
  const std::vector<double> logits = ops::linear(x, *weight).value().to_vector();
  const std::vector<double> w = weight->value().to_vector();
  const std::vector<double> rows = x.value().to_vector();
  std::vector<double> dx(kRows * kWidth, 0.0);
  std::vector<double> dw(kVocab * kWidth, 0.0);
  for (std::size_t t = 0; t < kRows; ++t) {
    const std::int32_t wanted = target.span<std::int32_t>()[t];
    if (wanted < 0) continue;
    double sum = 0.0;
    for (std::size_t v = 0; v < kVocab; ++v) sum += std::exp(logits[t * kVocab + v]);
    for (std::size_t v = 0; v < kVocab; ++v) {
      const double hit = static_cast<std::size_t>(wanted) == v ? 1.0 : 0.0;
      const double slope = 0.5 * (std::exp(logits[t * kVocab + v]) / sum - hit);
      for (std::size_t d = 0; d < kWidth; ++d) {
        dx[t * kWidth + d] += slope * w[v * kWidth + d];
        dw[v * kWidth + d] += slope * rows[t * kWidth + d];
      }
    }
  }
  EXPECT_TRUE(testing::close_to(x.gradient(), Tensor::from(dx, x.shape(), DType::F64), DType::F64,
                                kVocab));
  EXPECT_TRUE(testing::close_to(weight->gradient(), Tensor::from(dw, {kVocab, kWidth}, DType::F64),
                                DType::F64, kVocab));
}

TEST_F(LinearCrossEntropyOp, RefusesAGradientOtherThanOne) {
  const auto weight = random_leaf("weight", {6, 4});
  Tape tape;
  Variable loss;
  {
    const TapeScope scope(&tape);
    loss = ops::linear_cross_entropy(Variable::input(random_tensor("x", {2, 4})), *weight,
                                     ids({1, 2}, {2}), 1.0)
               .loss;
  }
  const Tensor seed = Tensor::full({1}, DType::F64, 2.0);
  EXPECT_THROW(tape.backward({&loss, 1}, {&seed, 1}), InternalError);
}

TEST_F(LinearCrossEntropyOp, NoTokensGiveNoLossAndZeroGradients) {
  const auto weight = random_leaf("weight", {6, 4}, DType::F32);
  Tape tape;
  Variable loss;
  {
    const TapeScope scope(&tape);
    loss = ops::linear_cross_entropy(Variable::input(random_tensor("x", {0, 4}, DType::F32)),
                                     *weight, ids({}, {0}), 1.0)
               .loss;
  }
  tape.backward(loss);
  weight->zero_unless_written();
  EXPECT_EQ(loss.value().item(), 0.0);
  for (const double value : weight->gradient().to_vector()) EXPECT_EQ(value, 0.0);
}

}  // namespace
}  // namespace moe
