/// Routes sorted by expert: the arithmetic shared by all dispatchers.
#pragma once

#include "autograd/variable.h"
#include "ops/rows.h"
#include "tensor/tensor.h"

namespace moe {

struct RouteOrder {
  ops::RowMap token_map;    ///< row -> token and back (inverse [T, K], -1 for dropped routes)
  ops::RowMap route_map;    ///< row -> route t*K + k and back (inverse [T*K, 1])
  Tensor offset_E1;         ///< i32, over all experts
  std::int64_t rows = 0;    ///< routes kept
};

/// A stable sort: within an expert, routes keep their token order. @det yes
RouteOrder order_routes(const Tensor& expert_TK, std::int64_t experts);

/// Weights of the kept routes in row order. @shape weight [T, K] -> [R]  @grad to weight
Variable weights_in_order(const Variable& weight_TK, const RouteOrder& order);

}  // namespace moe
