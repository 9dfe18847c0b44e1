// What every router in the registry must hold to, whatever it scores by.
#include <algorithm>
#include <cmath>

#include "autograd/gradcheck.h"
#include "base/error.h"
#include "base/format.h"
#include "moe/router.h"
#include "support/context_test.h"
#include "support/expect_close.h"

namespace moe {
namespace {

using testing::random_tensor;
using testing::same_bits;

constexpr std::int64_t kWidth = 6;

struct Row {
  std::int64_t tokens, experts, choices;
};
constexpr Row kRows[] = {{7, 5, 2}, {7, 5, 1}, {4, 4, 4}, {3, 1, 1}, {1, 17, 3}, {0, 5, 2}, {40, 33, 8}};

class RouterContract : public testing::ContextTest, public ::testing::WithParamInterface<std::string> {
 protected:
  std::unique_ptr<Router> make(const Row& row, DType dtype = DType::F64) const {
    auto router = make_router({.type = GetParam(),
                               .name = "r",
                               .width = kWidth,
                               .experts = row.experts,
                               .choices = row.choices,
                               .deviation = 1.0});
    for (nn::Parameter* parameter : router->parameters()) parameter->materialize(dtype, 3);
    return router;
  }
};

/// The experts of one token.
std::vector<std::int32_t> row_of(const Tensor& expert_TK, std::int64_t token) {
  const auto choices = static_cast<std::size_t>(expert_TK.dim(1));
  const auto row = expert_TK.span<std::int32_t>().subspan(static_cast<std::size_t>(token) * choices, choices);
  return {row.begin(), row.end()};
}

TEST_P(RouterContract, ChoosesDistinctExpertsWithFiniteWeights) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(format("T {} E {} K {}", row.tokens, row.experts, row.choices));
    const auto router = make(row);
    const Router::Output output = router->route(Variable(random_tensor("x", {row.tokens, kWidth})), {});
    EXPECT_EQ(output.routing.experts, row.experts);
    ASSERT_EQ(output.routing.expert_TK.shape(), (Shape{row.tokens, row.choices}));
    ASSERT_EQ(output.routing.weight_TK.shape(), (Shape{row.tokens, row.choices}));
    EXPECT_EQ(output.term.chosen_TK.shape(), output.routing.expert_TK.shape());
    EXPECT_TRUE(same_bits(output.term.kept_TK, output.routing.expert_TK));
    for (std::int64_t t = 0; t < row.tokens; ++t) {
      std::vector<std::int32_t> experts = row_of(output.routing.expert_TK, t);
      for (const std::int32_t expert : experts) {
        EXPECT_GE(expert, -1);
        EXPECT_LT(expert, row.experts);
      }
      std::erase(experts, -1);
      std::ranges::sort(experts);
      EXPECT_EQ(std::ranges::adjacent_find(experts), experts.end()) << "token " << t << " has an expert twice";
    }
    for (const double weight : output.routing.weight_TK.value().to_vector()) EXPECT_TRUE(std::isfinite(weight));
  }
}

TEST_P(RouterContract, ScoresOfATokenSumToOne) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(format("T {} E {} K {}", row.tokens, row.experts, row.choices));
    const auto router = make(row);
    const BalanceTerm term = router->route(Variable(random_tensor("x", {row.tokens, kWidth})), {}).term;
    ASSERT_EQ(term.probability_TE.shape(), (Shape{row.tokens, row.experts}));
    ASSERT_EQ(term.logsumexp_T.shape(), (Shape{row.tokens}));
    const std::vector<double> scores = term.probability_TE.value().to_vector();
    std::vector<double> sums(static_cast<std::size_t>(row.tokens), 0.0);
    for (std::size_t i = 0; i < scores.size(); ++i) {
      EXPECT_GE(scores[i], 0.0);
      sums[i / static_cast<std::size_t>(row.experts)] += scores[i];
    }
    EXPECT_TRUE(testing::close_to(Tensor::from(sums, {row.tokens}, DType::F64), Tensor::full({row.tokens}, DType::F64, 1.0),
                                  DType::F64, row.experts));
  }
}

TEST_P(RouterContract, PaddingHasNoRouteAndTheOthersKeepTheirs) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(format("T {} E {} K {}", row.tokens, row.experts, row.choices));
    const auto router = make(row);
    const Tensor x = random_tensor("x", {row.tokens, kWidth});
    const Router::Output all = router->route(Variable(x), {});
    nn::ForwardContext context;
    context.mask_T = Tensor::full({row.tokens}, DType::U8, 1.0);
    for (std::int64_t t = 0; t < row.tokens; t += 3) context.mask_T.span<std::uint8_t>()[static_cast<std::size_t>(t)] = 0;
    const Router::Output some = router->route(Variable(x), context);
    for (std::int64_t t = 0; t < row.tokens; ++t) {
      const std::vector<std::int32_t> none(static_cast<std::size_t>(row.choices), -1);
      const auto want = t % 3 == 0 ? none : row_of(all.routing.expert_TK, t);
      EXPECT_EQ(row_of(some.routing.expert_TK, t), want) << t;
      EXPECT_EQ(row_of(some.term.chosen_TK, t), want) << t;
      EXPECT_EQ(row_of(some.term.kept_TK, t), want) << t;
    }
  }
}

// A layer that is recomputed in the backward pass must decide what it decided.
TEST_P(RouterContract, DecidesTheSameAgain) {
  for (const DType dtype : {DType::F64, DType::F32, DType::BF16}) {
    const auto router = make({40, 33, 8}, dtype);
    const Variable x(random_tensor("x", {40, kWidth}, dtype));
    const Router::Output first = router->route(x, {});
    const Router::Output again = router->route(x, {});
    EXPECT_TRUE(same_bits(first.routing.expert_TK, again.routing.expert_TK));
    EXPECT_TRUE(same_bits(first.routing.weight_TK.value(), again.routing.weight_TK.value()));
    EXPECT_TRUE(same_bits(first.term.probability_TE.value(), again.term.probability_TE.value()));
  }
}

TEST_P(RouterContract, StaysInSinglePrecisionUnderBf16) {
  const auto router = make({7, 5, 2}, DType::BF16);
  for (const nn::Parameter* parameter : router->parameters()) {
    EXPECT_EQ(parameter->kind(), ParameterKind::Router) << parameter->name();
    EXPECT_EQ(parameter->value().dtype(), DType::F32) << parameter->name();
  }
  const Router::Output output = router->route(Variable(random_tensor("x", {7, kWidth}, DType::BF16)), {});
  EXPECT_EQ(output.routing.weight_TK.dtype(), DType::F32);
  EXPECT_EQ(output.term.probability_TE.dtype(), DType::F32);
  EXPECT_EQ(output.term.logsumexp_T.dtype(), DType::F32);
}

TEST_P(RouterContract, GradientsFlowThroughEveryOutput) {
  const auto router = make({4, 5, 2});
  const std::vector<nn::Parameter*> parameters = router->parameters();
  const std::vector<Leaf*> leaves(parameters.begin(), parameters.end());
  const Tensor x = random_tensor("x", {4, kWidth});
  EXPECT_EQ("", gradcheck(
                    [&](std::span<const Variable> in) {
                      const Router::Output output = router->route(in[0], {});
                      return std::vector{output.routing.weight_TK, output.term.probability_TE, output.term.logsumexp_T};
                    },
                    {&x, 1}, leaves));
}

TEST_P(RouterContract, RefusesTokensOfAnotherWidth) {
  const auto router = make({4, 5, 2});
  EXPECT_THROW(router->route(Variable(random_tensor("x", {4, kWidth + 1})), {}), ShapeError);
}

INSTANTIATE_TEST_SUITE_P(Registry, RouterContract, ::testing::ValuesIn(router_names()),
                         [](const auto& instance) { return instance.param; });

}  // namespace
}  // namespace moe
