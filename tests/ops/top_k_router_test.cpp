#include "ops/top_k_router.h"

#include "autograd/gradcheck.h"
#include "base/error.h"
#include "support/context_test.h"

namespace moe {
namespace {

using testing::random_tensor;

class TopKRouterOp : public testing::ContextTest {};

TEST_F(TopKRouterOp, BackwardIsTheDerivative) {
  const Tensor logits = random_tensor("logits", {4, 5}, DType::F64, 2.0);
  for (const std::int64_t choices : {1, 2, 5}) {
    for (const bool renormalize : {false, true}) {
      EXPECT_EQ("", gradcheck(
                        [&](std::span<const Variable> in) {
                          const ops::TopK top = ops::top_k_router(in[0], choices, renormalize);
                          return std::vector{top.probability, top.logsumexp, top.weight};
                        },
                        {&logits, 1}));
    }
  }
}

TEST_F(TopKRouterOp, TiesGoToTheLowerExpert) {
  const Tensor logits = Tensor::zeros({2, 4}, DType::F32);
  const ops::TopK top = ops::top_k_router(Variable(logits), 3, true);
  EXPECT_EQ(top.expert.to_vector(), (std::vector<double>{0, 1, 2, 0, 1, 2}));
}

TEST_F(TopKRouterOp, RefusesMoreChoicesThanExperts) {
  EXPECT_THROW(ops::top_k_router(Variable(random_tensor("z", {2, 3})), 4, true), ShapeError);
}

}  // namespace
}  // namespace moe
