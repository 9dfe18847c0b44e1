#include "optim/gradient_sums.h"

#include <limits>

#include "support/context_test.h"
#include "support/tolerance.h"

namespace moe::optim {
namespace {

class GradientSums : public testing::ContextTest {};

TEST_F(GradientSums, SumOfSquaresOfEveryShape) {
  for (const Shape& shape : {Shape{0}, Shape{1}, Shape{3, 5}, Shape{2, 7, 129}}) {
    for (const DType dtype : {DType::F32, DType::BF16, DType::F64}) {
      const Tensor x = testing::random_tensor("x", shape, dtype);
      double expected = 0.0;
      for (const double value : x.to_vector()) expected += value * value;
      EXPECT_NEAR(sum_of_squares(x), expected,
                  testing::tolerance(DType::F64, shape.numel()) * (1.0 + expected));
    }
  }
}

TEST_F(GradientSums, SumsInDoublePrecision) {
  // In f32 the small ones would vanish beside the large one.
  std::vector<double> values(1001, 1.0);
  values[0] = 1e5;
  EXPECT_EQ(sum_of_squares(Tensor::from(values, {1001}, DType::F32)), 1e10 + 1000.0);
}

TEST_F(GradientSums, CountsWhatIsNotFinite) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  for (const DType dtype : {DType::F32, DType::BF16, DType::F64}) {
    const std::vector<double> values = {1.0, kNaN, 0.0, -kInfinity, kInfinity, 3e38};
    EXPECT_EQ(count_non_finite(Tensor::from(values, {2, 3}, dtype)), 3) << to_string(dtype);
    EXPECT_EQ(count_non_finite(Tensor::zeros({0}, dtype)), 0);
  }
}

}  // namespace
}  // namespace moe::optim
