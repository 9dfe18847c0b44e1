#include "moe/route_order.h"

#include "ops/top_k_router.h"

namespace moe {

RouteOrder order_routes(const Tensor& expert_TK, std::int64_t experts) {
  const std::int64_t choices = expert_TK.dim(1);
  ops::SortedRoutes sorted = ops::sort_routes(expert_TK, experts);
  RouteOrder order;
  order.offset_E1 = sorted.offset;
  order.rows = sorted.route.numel();
  Tensor token = Tensor::empty({order.rows}, DType::I32);
  const auto routes = sorted.route.span<std::int32_t>();
  auto tokens_of_rows = token.span<std::int32_t>();
  for (std::size_t r = 0; r < routes.size(); ++r) {
    tokens_of_rows[r] = routes[r] / static_cast<std::int32_t>(choices);
  }
  order.token_map = {std::move(token), sorted.row};
  order.route_map = {std::move(sorted.route), sorted.row.reshape({expert_TK.numel(), 1})};
  return order;
}

Variable weights_in_order(const Variable& weight_TK, const RouteOrder& order) {
  const Variable flat = weight_TK.reshape({weight_TK.value().numel(), 1});
  return ops::gather_rows(flat, order.route_map).reshape({order.rows});
}

}  // namespace moe
