#include "nn/rms_norm.h"

#include "support/context_test.h"
#include "support/expect_close.h"
#include "support/naive_transformer.h"

namespace moe::nn {
namespace {

namespace naive = testing::naive;
using testing::random_tensor;

class RmsNormModule : public testing::ContextTest {};

TEST_F(RmsNormModule, EqualsThePlainFormulaOverEveryPieceOfTheGainsWidth) {
  for (const std::int64_t pieces : {1, 3}) {
    RmsNorm norm("n", 5, 0.02);
    Parameter& gain = *norm.parameters()[0];
    gain.materialize(DType::F64, 1);
    EXPECT_EQ(gain.master().to_vector(), std::vector<double>(5, 1.0));
    gain.master().copy_from(random_tensor("gain", {5}));
    const Tensor x = random_tensor("x", {4, pieces * 5});
    const Tensor delta = random_tensor("delta", {4, pieces * 5});
    const auto close = [&](const Variable& actual, const naive::Numbers& expected) {
      return testing::close_to(actual.value(), Tensor::from(expected, x.shape(), DType::F64),
                               DType::F64, 5);
    };
    const auto gains = gain.master().to_vector();
    EXPECT_TRUE(close(norm.forward(Variable(x)), naive::rms_norm(x.to_vector(), gains, 0.02)));
    const auto [sum, normed] = norm.forward_residual(Variable(x), Variable(delta));
    const naive::Numbers added = naive::add(x.to_vector(), delta.to_vector());
    EXPECT_TRUE(close(sum, added));
    EXPECT_TRUE(close(normed, naive::rms_norm(added, gains, 0.02)));
  }
}

TEST_F(RmsNormModule, DeclaresOneGain) {
  RmsNorm norm("a.norm", 5, 1e-6, Placement().split(0, Role::Heads));
  ASSERT_EQ(norm.parameters().size(), 1U);
  const Parameter& gain = *norm.parameters()[0];
  EXPECT_EQ(gain.name(), "a.norm.weight");
  EXPECT_EQ(gain.kind(), ParameterKind::Norm);
  EXPECT_EQ(gain.spec().shape, Shape{5});
  EXPECT_EQ(gain.spec().placement, Placement().split(0, Role::Heads));
}

}  // namespace
}  // namespace moe::nn
