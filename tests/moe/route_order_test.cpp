#include "moe/route_order.h"

#include "autograd/gradcheck.h"
#include "support/context_test.h"

namespace moe {
namespace {

using testing::ids;
using Ints = std::vector<std::int32_t>;

class RouteOrderTest : public testing::ContextTest {};

Ints ints(const Tensor& tensor) {
  const auto span = tensor.span<std::int32_t>();
  return {span.begin(), span.end()};
}

struct Row {
  const char* name;
  std::int64_t tokens, choices, experts;
  Ints expert;
  Ints offset;
  Ints route;  ///< of each row
};

const Row kRows[] = {
    {"sorted, stable", 3, 2, 3, {2, 0, 0, 1, 2, 0}, {0, 3, 4, 6}, {1, 2, 5, 3, 0, 4}},
    {"an idle expert", 2, 1, 4, {3, 1}, {0, 0, 1, 1, 2}, {1, 0}},
    {"dropped routes are left out", 3, 2, 2, {-1, 1, 0, -1, 1, 0}, {0, 2, 4}, {2, 5, 1, 4}},
    {"all dropped", 2, 2, 2, {-1, -1, -1, -1}, {0, 0, 0}, {}},
    {"no tokens", 0, 2, 3, {}, {0, 0, 0, 0}, {}},
    {"one of everything", 1, 1, 1, {0}, {0, 1}, {0}},
};

TEST_F(RouteOrderTest, SortsRoutesByExpertAndMapsBothWays) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.name);
    const RouteOrder order = order_routes(ids(row.expert, {row.tokens, row.choices}), row.experts);
    EXPECT_EQ(order.rows, static_cast<std::int64_t>(row.route.size()));
    EXPECT_EQ(ints(order.offset_E1), row.offset);
    EXPECT_EQ(ints(order.route_map.row), row.route);
    Ints token;
    Ints inverse(row.expert.size(), -1);
    for (std::size_t r = 0; r < row.route.size(); ++r) {
      token.push_back(row.route[r] / static_cast<std::int32_t>(row.choices));
      inverse[static_cast<std::size_t>(row.route[r])] = static_cast<std::int32_t>(r);
    }
    EXPECT_EQ(ints(order.token_map.row), token);
    EXPECT_EQ(ints(order.token_map.inverse), inverse);
    EXPECT_EQ(order.token_map.inverse.shape(), (Shape{row.tokens, row.choices}));
    EXPECT_EQ(ints(order.route_map.inverse), inverse);
    EXPECT_EQ(order.route_map.inverse.shape(), (Shape{row.tokens * row.choices, 1}));
  }
}

TEST_F(RouteOrderTest, WeightsFollowTheirRoutesAndTheGradientComesBack) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.name);
    const RouteOrder order = order_routes(ids(row.expert, {row.tokens, row.choices}), row.experts);
    const Tensor weight = testing::random_tensor("w", {row.tokens, row.choices});
    const std::vector<double> values = weight.to_vector();
    std::vector<double> expected;
    for (const std::int32_t route : row.route)
      expected.push_back(values[static_cast<std::size_t>(route)]);
    const Variable rows = weights_in_order(Variable(weight), order);
    EXPECT_EQ(rows.shape(), Shape{order.rows});
    EXPECT_EQ(rows.value().to_vector(), expected);
    EXPECT_EQ("", gradcheck(
                      [&](std::span<const Variable> in) {
                        return std::vector{weights_in_order(in[0], order)};
                      },
                      {&weight, 1}));
  }
}

}  // namespace
}  // namespace moe
