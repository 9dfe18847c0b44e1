#include "ops/grouped_linear.h"

#include "autograd/gradcheck.h"
#include "base/error.h"
#include "ops/linear.h"
#include "support/context_test.h"
#include "support/expect_close.h"

namespace moe {
namespace {

using testing::ids;
using testing::random_leaf;
using testing::random_tensor;

class GroupedLinearOp : public testing::ContextTest {};

TEST_F(GroupedLinearOp, BackwardIsTheDerivative) {
  const auto weight = random_leaf("weight", {3, 2, 2, 4});
  Leaf* leaves[] = {weight.get()};
  const Tensor offset = ids({0, 2, 2, 3}, {4});  // the middle group is empty
  const ops::RowMap map{ids({1, 0, 1}, {3}), ids({1, -1, 0, 2}, {2, 2})};
  const Tensor sources = random_tensor("x", {2, 4});
  const Tensor rows = random_tensor("r", {3, 4});
  EXPECT_EQ("", gradcheck(
                    [&](std::span<const Variable> in) {
                      return std::vector{ops::grouped_linear(in[0], &map, offset, *weight)};
                    },
                    {&sources, 1}, leaves));
  EXPECT_EQ("", gradcheck(
                    [&](std::span<const Variable> in) {
                      return std::vector{ops::grouped_linear(in[0], nullptr, offset, *weight)};
                    },
                    {&rows, 1}, leaves));
}

TEST_F(GroupedLinearOp, EqualsALoopOverGroups) {
  for (const DType dtype : {DType::F32, DType::BF16}) {
    const auto weight = random_leaf("weight", {4, 6, 40}, dtype);
    const Tensor x = random_tensor("x", {37, 40}, dtype);
    const std::vector<std::int32_t> bounds{0, 20, 20, 21, 37};
    const Tensor y = ops::grouped_linear(Variable(x), nullptr, ids(bounds, {5}), *weight).value();
    for (std::size_t g = 0; g < 4; ++g) {
      const std::int64_t count = bounds[g + 1] - bounds[g];
      Leaf one("one", weight->value().narrow(static_cast<std::int64_t>(g), 1).reshape({6, 40}));
      const Tensor expected = ops::linear(Variable(x.narrow(bounds[g], count)), one).value();
      EXPECT_TRUE(testing::close_to(y.narrow(bounds[g], count), expected, dtype, 40));
    }
  }
}

TEST_F(GroupedLinearOp, RefusesOffsetsForAnotherNumberOfGroups) {
  const auto weight = random_leaf("weight", {3, 2, 4});
  EXPECT_THROW(ops::grouped_linear(Variable(random_tensor("x", {2, 4})), nullptr,
                                   ids({0, 1, 2}, {3}), *weight),
               ShapeError);
}

}  // namespace
}  // namespace moe
