/// Orders routed copies by expert, the way rows stand in the experts' grouped products.
#pragma once

#include "device/stream.h"
#include "tensor/view.h"

namespace moe::kernels {

/// A stable counting sort of the N = T*K routes by expert; routes with expert -1 are left out.
/// @shape expert [T, K] i32 in [-1, E); offset [E+1] i32: rows of expert e are [offset[e], offset[e+1]);
///   route [N] i32: route id (t*K + k) of each row, first offset[E] entries valid, increasing within an expert;
///   row [T, K] i32: row of each route, -1 for left-out ones
/// @det yes  @cost O(N + E)  @throws ShapeError for an expert outside [-1, E)
struct SortRoutes {
  View expert;
  View offset;
  View route;
  View row;
};
void sort_routes(Stream& stream, const SortRoutes& args);

/// Drops routes beyond `capacity` per expert by setting expert to -1. Order of admission: all first choices in
/// token order, then all second choices, and so on (GShard); or, with `by_weight`, larger weights first
/// (ties: earlier route; NaN last).
/// @shape expert [T, K] i32, changed in place; weight [T, K] f32 (f64), read only `by_weight`
/// @det yes  @paper GShard, arXiv:2006.16668
struct LimitCapacity {
  View expert;
  View weight;
  std::int64_t experts = 0;
  std::int64_t capacity = 0;
  bool by_weight = false;
};
void limit_capacity(Stream& stream, const LimitCapacity& args);

}  // namespace moe::kernels
