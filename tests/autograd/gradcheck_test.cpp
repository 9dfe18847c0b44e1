#include "autograd/gradcheck.h"

#include <gmock/gmock.h>

#include "autograd/tape.h"
#include "base/error.h"
#include "support/context_test.h"
#include "support/tied_model.h"

namespace moe {
namespace {

using testing::random_tensor;
using testing::Recomputed;
using testing::TiedModel;

class GradcheckTest : public testing::ContextTest {};

/// y = x^2 with a backward that multiplies by `factor` * x: right for 2.
std::vector<Variable> square(const Variable& x, double factor) {
  Tensor y = x.value().clone();
  for (double& value : y.span<double>()) value *= value;
  return {Tape::current()->record_one("square", y, [x, factor](const Tensor& dy) {
    Tensor dx = dy.clone();
    for (std::size_t i = 0; i < dx.span<double>().size(); ++i) {
      dx.span<double>()[i] *= factor * x.value().span<double>()[i];
    }
    x.slot()->accumulate(dx);
  })};
}

TEST_F(GradcheckTest, PassesARightGradientAndNamesAWrongOne) {
  const Tensor x = random_tensor("x", {2, 3});
  const auto check = [&](double factor) {
    return gradcheck([&](std::span<const Variable> in) { return square(in[0], factor); }, {&x, 1});
  };
  EXPECT_EQ(check(2.0), "");
  EXPECT_THAT(check(2.001), ::testing::HasSubstr("input 0 element"));
  EXPECT_THAT(check(0.0), ::testing::HasSubstr("backward gives"));
}

TEST_F(GradcheckTest, AMissingGradientIsWrong) {
  const Tensor x = random_tensor("x", {3});
  EXPECT_NE(gradcheck(
                [](std::span<const Variable> in) {
                  Tensor y = in[0].value().clone();
                  return std::vector{Tape::current()->record_one("lost", y, [](const Tensor&) {})};
                },
                {&x, 1}),
            "");
}

TEST_F(GradcheckTest, NamesTheLeafThatIsWrong) {
  const Tensor x = random_tensor("x", {2, 3});
  Leaf weight("the.weight", random_tensor("w", {2, 3}));
  Leaf* const leaves[] = {&weight};
  const auto forgets = [&](std::span<const Variable> in) {
    Tensor y = in[0].value().clone();
    for (std::size_t i = 0; i < 6; ++i) y.span<double>()[i] *= weight.value().span<double>()[i];
    return std::vector{Tape::current()->record_one(
        "half", y, [&weight, x = in[0], use = weight.use()](const Tensor& dy) {
          Tensor dx = dy.clone();
          for (std::size_t i = 0; i < 6; ++i)
            dx.span<double>()[i] *= weight.value().span<double>()[i];
          x.slot()->accumulate(dx);
        })};
  };
  EXPECT_THAT(gradcheck(forgets, {&x, 1}, leaves), ::testing::HasSubstr("the.weight element"));
}

TEST_F(GradcheckTest, RefusesAnythingButDoubles) {
  const Tensor x = random_tensor("x", {2}, DType::F32);
  EXPECT_THROW(gradcheck([](std::span<const Variable> in) { return square(in[0], 2.0); }, {&x, 1}),
               DTypeError);
}

TEST_F(GradcheckTest, ATiedWeightGathersBothUsesHoweverItIsRecomputed) {
  for (const Recomputed what :
       {Recomputed::Nothing, Recomputed::Middle, Recomputed::MiddleAndHead}) {
    TiedModel model(DType::F64);
    Leaf* const leaves[] = {model.table.get(), model.middle.get()};
    EXPECT_EQ(
        gradcheck([&](std::span<const Variable>) { return std::vector{model.forward(0, what)}; },
                  {}, leaves),
        "");
  }
}

}  // namespace
}  // namespace moe
