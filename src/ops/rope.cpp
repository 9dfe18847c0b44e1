#include "ops/rope.h"

#include "autograd/tape.h"
#include "kernels/attention/rope.h"

namespace moe::ops {
namespace {

Tensor rotate(const Tensor& x, const RopeTable& table, const Tensor& position, bool inverse) {
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  kernels::rope(current_context().stream, {.x = x.view(),
                                           .y = y.view(),
                                           .cosine = table.cosine.view(),
                                           .sine = table.sine.view(),
                                           .position = position.view(),
                                           .inverse = inverse});
  return y;
}

}  // namespace

Variable rope(const Variable& x, const RopeTable& table, const Tensor& position) {
  require("rope", "position", position, {x.dim(0)}, DType::I32);
  require("rope", "cosine", table.cosine, {-1, x.dim(2) / 2},
          x.dtype() == DType::F64 ? DType::F64 : DType::F32);
  Tensor y = rotate(x.value(), table, position, false);
  if (!needs_record({&x})) return Variable(std::move(y));
  return Tape::current()->record_one(
      "rope", std::move(y), [table, position, slot = x.slot()](const Tensor& dy) {
        slot->accumulate(rotate(dy, table, position, true));
      });
}

}  // namespace moe::ops
