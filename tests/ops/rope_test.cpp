#include "ops/rope.h"

#include <cmath>

#include "autograd/gradcheck.h"
#include "support/context_test.h"
#include "support/expect_close.h"

namespace moe {
namespace {

using testing::random_tensor;

ops::RopeTable table_of(std::int64_t positions, std::int64_t half) {
  ops::RopeTable table{Tensor::empty({positions, half}, DType::F64),
                       Tensor::empty({positions, half}, DType::F64)};
  for (std::int64_t i = 0; i < positions * half; ++i) {
    const double angle = static_cast<double>(i / half) / static_cast<double>(1 + i % half);
    table.cosine.span<double>()[static_cast<std::size_t>(i)] = std::cos(angle);
    table.sine.span<double>()[static_cast<std::size_t>(i)] = std::sin(angle);
  }
  return table;
}

class RopeOp : public testing::ContextTest {};

TEST_F(RopeOp, BackwardIsTheDerivative) {
  const ops::RopeTable table = table_of(5, 3);
  const Tensor position = testing::ids({4, 0, 2}, {3});
  const Tensor x = random_tensor("x", {3, 2, 6});
  EXPECT_EQ("", gradcheck(
                    [&](std::span<const Variable> in) {
                      return std::vector{ops::rope(in[0], table, position)};
                    },
                    {&x, 1}));
}

TEST_F(RopeOp, TurnsDimJTogetherWithDimJPlusHalf) {
  const ops::RopeTable table = table_of(4, 2);
  const Tensor x = random_tensor("x", {1, 1, 4});
  const auto y = ops::rope(Variable(x), table, testing::ids({3}, {1})).value().to_vector();
  const auto v = x.to_vector();
  for (std::size_t j = 0; j < 2; ++j) {
    const double c = table.cosine.to_vector()[6 + j];
    const double s = table.sine.to_vector()[6 + j];
    EXPECT_DOUBLE_EQ(y[j], v[j] * c - v[j + 2] * s);
    EXPECT_DOUBLE_EQ(y[j + 2], v[j + 2] * c + v[j] * s);
  }
}

}  // namespace
}  // namespace moe
