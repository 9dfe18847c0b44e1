#include "ops/rms_norm.h"

#include "autograd/gradcheck.h"
#include "ops/arithmetic.h"
#include "support/context_test.h"
#include "support/expect_close.h"

namespace moe {
namespace {

using testing::random_leaf;
using testing::random_tensor;

class RmsNormOp : public testing::ContextTest {};

TEST_F(RmsNormOp, BackwardIsTheDerivative) {
  const auto weight = random_leaf("weight", {5});
  Leaf* leaves[] = {weight.get()};
  const Tensor x[] = {random_tensor("x", {4, 5}), random_tensor("delta", {4, 5})};
  EXPECT_EQ("", gradcheck(
                    [&](std::span<const Variable> in) {
                      return std::vector{ops::rms_norm(in[0], *weight, 1e-5)};
                    },
                    {x, 1}, leaves));
  EXPECT_EQ("", gradcheck(
                    [&](std::span<const Variable> in) {
                      const auto out = ops::add_rms_norm(in[0], in[1], *weight, 1e-5);
                      return std::vector{out.sum, out.normed};
                    },
                    x, leaves));
}

TEST_F(RmsNormOp, NormalisesEachHeadOfAWiderRow) {
  const auto weight = random_leaf("weight", {4});
  const Tensor x = random_tensor("x", {3, 8});
  const Tensor whole = ops::rms_norm(Variable(x), *weight, 1e-6).value();
  const Tensor heads = ops::rms_norm(Variable(x.reshape({6, 4})), *weight, 1e-6).value();
  EXPECT_TRUE(testing::same_bits(whole.reshape({6, 4}), heads));
}

TEST_F(RmsNormOp, FusedResidualEqualsSumThenNorm) {
  const Leaf source("w", random_tensor("weight", {37}, DType::F32));
  for (const DType dtype : {DType::F32, DType::BF16}) {
    Leaf weight("w", source.value());
    const Variable x(random_tensor("x", {9, 37}, dtype));
    const Variable delta(random_tensor("delta", {9, 37}, dtype));
    const auto fused = ops::add_rms_norm(x, delta, weight, 1e-6);
    const Variable sum = ops::add(x, delta);
    EXPECT_TRUE(testing::same_bits(fused.sum.value(), sum.value()));
    EXPECT_TRUE(testing::close_to(fused.normed.value(), ops::rms_norm(sum, weight, 1e-6).value(),
                                  dtype, 37));
  }
}

}  // namespace
}  // namespace moe
