#include "ops/rows.h"

#include "autograd/gradcheck.h"
#include "support/context_test.h"
#include "support/expect_close.h"

namespace moe {
namespace {

using testing::ids;
using testing::random_tensor;

/// Three sources; source 0 went to rows 1 and 3, source 1 to row 0, source 2 nowhere; row 2 is empty.
ops::RowMap example_map() {
  return {ids({1, 0, -1, 0}, {4}), ids({1, 3, 0, -1, -1, -1}, {3, 2})};
}

class RowOps : public testing::ContextTest {};

TEST_F(RowOps, BackwardIsTheDerivative) {
  const ops::RowMap map = example_map();
  const Tensor sources = random_tensor("x", {3, 2});
  const Tensor rows = random_tensor("r", {4, 2});
  EXPECT_EQ("", gradcheck(
                    [&](std::span<const Variable> in) {
                      return std::vector{ops::gather_rows(in[0], map)};
                    },
                    {&sources, 1}));
  EXPECT_EQ("", gradcheck(
                    [&](std::span<const Variable> in) {
                      return std::vector{ops::combine_rows(in[0], map)};
                    },
                    {&rows, 1}));
}

TEST_F(RowOps, CombineSumsInTheOrderOfTheMap) {
  const Tensor rows = Tensor::from(std::vector<double>{1, 2, 4, 8}, {4, 1}, DType::F32);
  const Tensor sums = ops::combine_rows(Variable(rows), example_map()).value();
  EXPECT_EQ(sums.to_vector(), (std::vector<double>{10, 1, 0}));
}

TEST_F(RowOps, AnEmptyMapMovesNothing) {
  const ops::RowMap map{ids({}, {0}), ids({-1, -1}, {2, 1})};
  const Tensor x = random_tensor("x", {2, 3}, DType::F32);
  EXPECT_EQ(ops::gather_rows(Variable(x), map).dim(0), 0);
  const Tensor back = ops::combine_rows(Variable(Tensor::empty({0, 3}, DType::F32)), map).value();
  for (const double value : back.to_vector()) EXPECT_EQ(value, 0.0);
}

}  // namespace
}  // namespace moe
