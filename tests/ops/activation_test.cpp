#include "ops/activation.h"

#include "autograd/gradcheck.h"
#include "base/error.h"
#include "support/context_test.h"

namespace moe {
namespace {

using ops::ActivationKind;
using testing::random_tensor;

class ActivationOp : public testing::ContextTest {};

TEST_F(ActivationOp, BackwardIsTheDerivative) {
  for (const ActivationKind kind : {ActivationKind::Silu, ActivationKind::GeluErf,
                                    ActivationKind::GeluTanh, ActivationKind::Relu2}) {
    for (const bool gated : {true, false}) {
      const Tensor inputs[] = {random_tensor("x", {3, 6}, DType::F64, 2.0),
                               random_tensor("weight", {3})};
      EXPECT_EQ("", gradcheck(
                        [&](std::span<const Variable> in) {
                          return std::vector{ops::activation(in[0], in[1], kind, gated)};
                        },
                        inputs));
      EXPECT_EQ("", gradcheck(
                        [&](std::span<const Variable> in) {
                          return std::vector{ops::activation(in[0], Variable(), kind, gated)};
                        },
                        {inputs, 1}));
    }
  }
}

TEST_F(ActivationOp, RefusesAnOddWidthWhenGated) {
  EXPECT_THROW(ops::activation(Variable(random_tensor("x", {3, 5})), Variable(),
                               ActivationKind::Silu, true),
               ShapeError);
}

}  // namespace
}  // namespace moe
