#include "moe/softmax_top_k_router.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "autograd/gradcheck.h"
#include "base/error.h"
#include "base/format.h"
#include "support/context_test.h"
#include "support/expect_close.h"
#include "support/naive_transformer.h"

namespace moe {
namespace {

namespace naive = testing::naive;
using testing::random_tensor;

class SoftmaxTopKRouterTest : public testing::ContextTest {};

struct Row {
  std::int64_t tokens, experts, choices;
  bool renormalize;
};

const Row kRows[] = {{6, 5, 2, true}, {6, 5, 2, false}, {6, 5, 1, true}, {6, 5, 1, false},
                     {4, 4, 4, true}, {4, 4, 4, false}, {3, 1, 1, true}, {1, 17, 3, false},
                     {0, 5, 2, true}, {9, 33, 8, true}};

constexpr std::int64_t kWidth = 6;

std::unique_ptr<Router> make(const Row& row, DType dtype = DType::F64, const char* type = "softmax_topk") {
  auto router = make_router({.type = type,
                             .name = "r",
                             .width = kWidth,
                             .experts = row.experts,
                             .choices = row.choices,
                             .renormalize = row.renormalize,
                             .deviation = 1.0});
  for (nn::Parameter* p : router->parameters()) p->materialize(dtype, 3);
  return router;
}

/// What one would write on paper.
struct Expected {
  naive::Numbers probability, logsumexp, weight;
  std::vector<std::int32_t> expert;
};

Expected expect(const Row& row, const naive::Numbers& x, const naive::Numbers& w) {
  const naive::Numbers logits = naive::linear(x, w, kWidth);
  Expected expected;
  for (std::int64_t t = 0; t < row.tokens; ++t) {
    const double* z = logits.data() + t * row.experts;
    double sum = 0.0;
    for (std::int64_t e = 0; e < row.experts; ++e) sum += std::exp(z[e]);
    std::vector<std::int32_t> order(static_cast<std::size_t>(row.experts));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return z[a] > z[b]; });
    double chosen = 0.0;
    for (std::int64_t k = 0; k < row.choices; ++k) chosen += std::exp(z[order[naive::at(k)]]);
    for (std::int64_t e = 0; e < row.experts; ++e)
      expected.probability.push_back(std::exp(z[e]) / sum);
    expected.logsumexp.push_back(std::log(sum));
    for (std::int64_t k = 0; k < row.choices; ++k) {
      expected.expert.push_back(order[naive::at(k)]);
      expected.weight.push_back(std::exp(z[order[naive::at(k)]]) /
                                (row.renormalize ? chosen : sum));
    }
  }
  return expected;
}

std::vector<std::int32_t> ints(const Tensor& tensor) {
  const auto span = tensor.span<std::int32_t>();
  return {span.begin(), span.end()};
}

TEST_F(SoftmaxTopKRouterTest, EqualsSoftmaxThenTopKOnPaper) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(format("T {} E {} K {} renormalize {}", row.tokens, row.experts, row.choices,
                        row.renormalize));
    const auto router = make(row);
    const Tensor x = random_tensor("x", {row.tokens, kWidth});
    const Router::Output output = router->route(Variable(x), {});
    const Expected expected =
        expect(row, x.to_vector(), router->parameters()[0]->master().to_vector());
    const auto close = [&](const Variable& actual, const naive::Numbers& values) {
      return testing::close_to(actual.value(), Tensor::from(values, actual.shape(), DType::F64),
                               DType::F64, kWidth + row.experts);
    };
    EXPECT_EQ(output.routing.experts, row.experts);
    EXPECT_EQ(output.routing.expert_TK.shape(), (Shape{row.tokens, row.choices}));
    EXPECT_EQ(ints(output.routing.expert_TK), expected.expert);
    EXPECT_EQ(ints(output.term.chosen_TK), expected.expert);
    EXPECT_EQ(ints(output.term.kept_TK), expected.expert);
    EXPECT_TRUE(close(output.routing.weight_TK, expected.weight));
    EXPECT_TRUE(close(output.term.probability_TE, expected.probability));
    EXPECT_TRUE(close(output.term.logsumexp_T, expected.logsumexp));
  }
}

TEST_F(SoftmaxTopKRouterTest, TiesGoToTheLowerExpert) {
  const Row row{2, 6, 3, true};
  const auto router = make(row);
  nn::Parameter& weight = *router->parameters()[0];
  weight.master().fill(0.0);
  // Experts 2 and 5 lead with equal scores, the rest ties.
  for (const std::int64_t e : {2, 5}) weight.master().window(e * kWidth, {1}).fill(1.0);
  const Tensor x = Tensor::full({2, kWidth}, DType::F64, 1.0);
  const Router::Output output = router->route(Variable(x), {});
  EXPECT_EQ(ints(output.routing.expert_TK), (std::vector<std::int32_t>{2, 5, 0, 2, 5, 0}));
}

TEST_F(SoftmaxTopKRouterTest, PaddingGetsNoRouteAndTheOthersKeepTheirs) {
  const Row row{5, 4, 2, true};
  const auto router = make(row);
  const Tensor x = random_tensor("x", {5, kWidth});
  const std::vector<std::int32_t> all = ints(router->route(Variable(x), {}).routing.expert_TK);
  nn::ForwardContext context;
  context.mask_T = Tensor::full({5}, DType::U8, 1.0);
  for (const std::size_t padding : {0U, 3U}) context.mask_T.span<std::uint8_t>()[padding] = 0;
  const Router::Output output = router->route(Variable(x), context);
  std::vector<std::int32_t> expected = all;
  for (const std::size_t route : {0U, 1U, 6U, 7U}) expected[route] = -1;
  EXPECT_EQ(ints(output.routing.expert_TK), expected);
  EXPECT_EQ(ints(output.term.chosen_TK), expected);
  EXPECT_EQ(ints(output.term.kept_TK), expected);
}

TEST_F(SoftmaxTopKRouterTest, RoutesInSinglePrecisionUnderBf16) {
  const Row row{6, 5, 2, true};
  const auto router = make(row, DType::BF16);
  EXPECT_EQ(router->parameters()[0]->value().dtype(), DType::F32);
  const Tensor x = random_tensor("x", {6, kWidth}, DType::BF16);
  const Router::Output output = router->route(Variable(x), {});
  const Expected expected =
      expect(row, x.to_vector(), router->parameters()[0]->master().to_vector());
  for (const Variable* result :
       {&output.routing.weight_TK, &output.term.probability_TE, &output.term.logsumexp_T}) {
    EXPECT_EQ(result->dtype(), DType::F32);
  }
  EXPECT_TRUE(testing::close_to(output.term.probability_TE.value(),
                                Tensor::from(expected.probability, {6, 5}, DType::F64), DType::F32,
                                kWidth));
}

TEST_F(SoftmaxTopKRouterTest, BackwardFlowsFromWeightsScoresAndLogsumexp) {
  for (const bool renormalize : {true, false}) {
    const auto router = make({4, 5, 2, renormalize});
    Leaf* leaves[] = {router->parameters()[0]};
    const Tensor x = random_tensor("x", {4, kWidth});
    EXPECT_EQ("", gradcheck(
                      [&](std::span<const Variable> in) {
                        const Router::Output output = router->route(in[0], {});
                        return std::vector{output.routing.weight_TK, output.term.probability_TE,
                                           output.term.logsumexp_T};
                      },
                      {&x, 1}, leaves));
  }
}

TEST_F(SoftmaxTopKRouterTest, DeclaresOneReplicatedRouterWeight) {
  const auto router = make({4, 5, 2, true});
  ASSERT_EQ(router->parameters().size(), 1U);
  const nn::Parameter& weight = *router->parameters()[0];
  EXPECT_EQ(weight.name(), "r.weight");
  EXPECT_EQ(weight.kind(), ParameterKind::Router);
  EXPECT_EQ(weight.spec().shape, (Shape{5, kWidth}));
  EXPECT_EQ(weight.spec().placement, Placement::replicated());
  EXPECT_EQ(weight.spec().initializer.deviation, 1.0);
}

TEST_F(SoftmaxTopKRouterTest, RefusesAnotherWidth) {
  const auto router = make({4, 5, 2, true});
  EXPECT_THROW(router->route(Variable(random_tensor("x", {4, kWidth + 1})), {}), ShapeError);
}

// The softmax over the chosen, as if there were no others.
TEST_F(SoftmaxTopKRouterTest, RoundRobinGivesEveryExpertAsMuch) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(format("T {} E {} K {}", row.tokens, row.experts, row.choices));
    const auto router = make(row, DType::F64, "round_robin");
    const Tensor x = random_tensor("x", {row.tokens, kWidth});
    const Router::Output output = router->route(Variable(x), {});
    const std::vector<std::int32_t> chosen = ints(output.routing.expert_TK);
    const naive::Numbers logits =
        naive::linear(x.to_vector(), router->parameters()[0]->master().to_vector(), kWidth);
    const naive::Numbers weight = output.routing.weight_TK.value().to_vector();
    std::vector<std::int64_t> load(naive::at(row.experts), 0);
    for (std::int64_t t = 0; t < row.tokens; ++t) {
      double sum = 0.0;
      double weights = 0.0;
      for (std::int64_t k = 0; k < row.choices; ++k) {
        const std::int32_t e = chosen[naive::at(t * row.choices + k)];
        ++load[static_cast<std::size_t>(e)];
        sum += std::exp(logits[naive::at(t * row.experts + e)]);
        weights += weight[naive::at(t * row.choices + k)];
      }
      EXPECT_TRUE(testing::close_to(Tensor::from(std::vector{weights}, {1}, DType::F64), Tensor::full({1}, DType::F64, 1.0),
                                    DType::F64, row.choices));
      const std::int32_t best = chosen[naive::at(t * row.choices)];
      EXPECT_TRUE(testing::close_to(
          Tensor::from(std::vector{weight[naive::at(t * row.choices)]}, {1}, DType::F64),
          Tensor::full({1}, DType::F64, std::exp(logits[naive::at(t * row.experts + best)]) / sum), DType::F64,
          kWidth + row.experts));
    }
    if (row.tokens == 0) continue;
    const auto [least, most] = std::minmax_element(load.begin(), load.end());
    EXPECT_LE(*most - *least, 1);
  }
}

TEST(RouterRegistry, NamesWhatItKnows) {
  EXPECT_EQ(router_names(), (std::vector<std::string>{"softmax_topk", "round_robin"}));
  try {
    make_router({.type = "sofmax_topk"});
    ADD_FAILURE() << "an unknown router was made";
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("softmax_topk"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace moe
