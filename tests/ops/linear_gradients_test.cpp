#include "ops/linear_gradients.h"

#include "autograd/gradcheck.h"
#include "autograd/tape.h"
#include "ops/grouped_linear.h"
#include "ops/linear.h"
#include "support/context_test.h"
#include "support/expect_close.h"

namespace moe {
namespace {

using testing::ids;
using testing::random_leaf;
using testing::random_tensor;

class LinearGradients : public testing::ContextTest {};

/// A linear layer whose backward is written with the functions, as a fused op would.
TEST_F(LinearGradients, MakeTheBackwardOfALinearLayer) {
  const auto weight = random_leaf("weight", {2, 2, 5});
  Leaf* leaves[] = {weight.get()};
  const Tensor x = random_tensor("x", {3, 5});
  EXPECT_EQ("", gradcheck(
                    [&](std::span<const Variable> in) {
                      const Tensor saved = in[0].value();
                      return std::vector{Tape::current()->record_one(
                          "layer", ops::linear(Variable(saved), *weight).value(),
                          [saved, slot = in[0].slot(), &weight, use = weight->use()](const Tensor& dy) {
                            slot->accumulate(ops::linear_input_gradient(dy, *weight));
                            ops::add_linear_weight_gradient(dy, saved, *weight);
                          })};
                    },
                    {&x, 1}, leaves));
}

TEST_F(LinearGradients, MakeTheBackwardOfAGroupedLayer) {
  const auto weight = random_leaf("weight", {3, 2, 2, 5});
  Leaf* leaves[] = {weight.get()};
  const Tensor x = random_tensor("x", {3, 5});
  const Tensor offset = ids({0, 2, 2, 3}, {4});  // the middle group is empty
  EXPECT_EQ("", gradcheck(
                    [&](std::span<const Variable> in) {
                      const Tensor saved = in[0].value();
                      return std::vector{Tape::current()->record_one(
                          "layer", ops::grouped_linear(Variable(saved), nullptr, offset, *weight).value(),
                          [&, saved, slot = in[0].slot(), use = weight->use()](const Tensor& dy) {
                            slot->accumulate(ops::grouped_input_gradient(dy, offset, *weight));
                            ops::add_grouped_weight_gradient(dy, saved, View{}, offset, *weight);
                          })};
                    },
                    {&x, 1}, leaves));
}

TEST_F(LinearGradients, WeightGradientsAddUp) {
  const auto once = random_leaf("weight", {4, 5}, DType::F32);
  const auto twice = random_leaf("weight", {4, 5}, DType::F32);
  const Tensor x = random_tensor("x", {8, 5}, DType::F32);
  const Tensor dy = random_tensor("dy", {8, 4}, DType::F32);
  ops::add_linear_weight_gradient(dy, x, *once);
  ops::add_linear_weight_gradient(dy.narrow(0, 3), x.narrow(0, 3), *twice);
  ops::add_linear_weight_gradient(dy.narrow(3, 5), x.narrow(3, 5), *twice);
  EXPECT_TRUE(testing::close_to(twice->gradient(), once->gradient(), DType::F32, 8));
}

}  // namespace
}  // namespace moe
