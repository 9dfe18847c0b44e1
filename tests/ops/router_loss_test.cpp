#include "ops/router_loss.h"

#include "autograd/gradcheck.h"
#include "support/context_test.h"

namespace moe {
namespace {

using testing::ids;
using testing::random_tensor;

class RouterLossOps : public testing::ContextTest {};

TEST_F(RouterLossOps, BackwardIsTheDerivative) {
  const Tensor probability = random_tensor("p", {3, 4});
  const Tensor coefficient = random_tensor("c", {2, 4});
  const Tensor group = ids({0, 1, 1}, {3});
  const Tensor mask = Tensor::full({3}, DType::U8, 1.0);
  mask.span<std::uint8_t>()[1] = 0;
  EXPECT_EQ("", gradcheck(
                    [&](std::span<const Variable> in) {
                      return std::vector{ops::weighted_score_sum(in[0], coefficient, group, mask)};
                    },
                    {&probability, 1}));
  const Tensor x = random_tensor("x", {3});
  EXPECT_EQ("", gradcheck(
                    [&](std::span<const Variable> in) {
                      return std::vector{ops::masked_square_sum(in[0], mask)};
                    },
                    {&x, 1}));
}

TEST_F(RouterLossOps, MaskedTokensDoNotCount) {
  const Tensor mask = Tensor::zeros({2}, DType::U8);
  mask.span<std::uint8_t>()[1] = 1;
  const Tensor x = Tensor::from(std::vector<double>{7, 3}, {2}, DType::F32);
  EXPECT_EQ(ops::masked_square_sum(Variable(x), mask).value().item(), 9.0);
  EXPECT_EQ(ops::masked_square_sum(Variable(x), Tensor()).value().item(), 58.0);
}

}  // namespace
}  // namespace moe
