#include "moe/route_order.h"

#include "kernels/moe/sort_routes.h"

namespace moe {

RouteOrder order_routes(const Tensor& expert_TK, std::int64_t experts) {
  const std::int64_t tokens = expert_TK.dim(0);
  const std::int64_t choices = expert_TK.dim(1);
  RouteOrder order;
  order.offset_E1 = Tensor::empty({experts + 1}, DType::I32);
  Tensor route = Tensor::empty({tokens * choices}, DType::I32);
  Tensor row_TK = Tensor::empty({tokens, choices}, DType::I32);
  kernels::sort_routes(current_context().stream, {.expert = expert_TK.view(),
                                                  .offset = order.offset_E1.view(),
                                                  .route = route.view(),
                                                  .row = row_TK.view()});
  order.rows = order.offset_E1.span<std::int32_t>().back();
  route = route.narrow(0, order.rows);
  Tensor token = Tensor::empty({order.rows}, DType::I32);
  const auto routes = route.span<std::int32_t>();
  auto tokens_of_rows = token.span<std::int32_t>();
  for (std::size_t r = 0; r < routes.size(); ++r) {
    tokens_of_rows[r] = routes[r] / static_cast<std::int32_t>(choices);
  }
  order.token_map = {std::move(token), row_TK};
  order.route_map = {std::move(route), row_TK.reshape({tokens * choices, 1})};
  return order;
}

Variable weights_in_order(const Variable& weight_TK, const RouteOrder& order) {
  const Variable flat = weight_TK.reshape({weight_TK.value().numel(), 1});
  return ops::gather_rows(flat, order.route_map).reshape({order.rows});
}

}  // namespace moe
