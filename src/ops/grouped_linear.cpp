#include "ops/grouped_linear.h"

#include "autograd/tape.h"
#include "base/error.h"
#include "base/format.h"
#include "kernels/elementwise/rows.h"
#include "kernels/gemm/grouped_gemm.h"
#include "ops/linear_gradients.h"

namespace moe::ops {
namespace {

struct Saved {
  Tensor x;
  Tensor offset;
  RowMap map;
  bool mapped;
  View row() const { return mapped ? map.row.view() : View{}; }
};

Tensor input_gradient(const Saved& saved, const Tensor& dy, const Leaf& weight) {
  Tensor dx_RK = grouped_input_gradient(dy, saved.offset, weight);
  if (!saved.mapped) return dx_RK;
  Tensor dx = Tensor::empty(saved.x.shape(), dy.dtype());
  kernels::combine_rows(current_context().stream, {.x = dx_RK.view(),
                                                   .index = saved.map.inverse.view(),
                                                   .out = dx.view()});
  return dx;
}

}  // namespace

Variable grouped_linear(const Variable& x, const RowMap* map, const Tensor& offset, Leaf& weight) {
  const Tensor& w = weight.value();
  if (x.value().rank() != 2 || w.rank() < 3 || x.dim(1) != w.dim(-1) || x.dtype() != w.dtype()) {
    throw ShapeError(format("[grouped_linear] {}: expected x [S, {}] {}, got {}", weight.name(),
                            w.dim(-1), to_string(w.dtype()), describe(x.value())));
  }
  require("grouped_linear", "offset", offset, {w.dim(0) + 1}, DType::I32);
  const Tensor w_GNK = as_stack(w);
  Saved saved{x.value(), offset, map != nullptr ? *map : RowMap{}, map != nullptr};
  const std::int64_t rows = saved.mapped ? saved.map.row.dim(0) : x.dim(0);
  Tensor y = Tensor::empty({rows, w_GNK.dim(1)}, x.dtype());
  kernels::grouped_gemm(current_context().stream, {.a = saved.x.view(),
                                                   .row = saved.row(),
                                                   .offset = offset.view(),
                                                   .b = w_GNK.view(),
                                                   .c = y.view(),
                                                   .transpose_b = true});
  if (!needs_record({&x}, {&weight})) return Variable(std::move(y));
  return Tape::current()->record_one(
      "grouped_linear", std::move(y),
      [saved = std::move(saved), slot = x.slot(), &weight, use = weight.use()](const Tensor& dy) {
        if (slot) slot->accumulate(input_gradient(saved, dy, weight));
        if (use) add_grouped_weight_gradient(dy, saved.x, saved.row(), saved.offset, weight);
      });
}

}  // namespace moe::ops
