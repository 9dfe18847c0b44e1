#include "ops/rows.h"

#include "autograd/tape.h"
#include "kernels/elementwise/rows.h"

namespace moe::ops {
namespace {

Tensor gather(const Tensor& x, const RowMap& map) {
  Tensor out = Tensor::empty({map.row.dim(0), x.dim(1)}, x.dtype());
  kernels::gather_rows(current_context().stream,
                       {.x = x.view(), .index = map.row.view(), .out = out.view()});
  return out;
}

Tensor combine(const Tensor& x, const RowMap& map) {
  Tensor out = Tensor::empty({map.inverse.dim(0), x.dim(1)}, x.dtype());
  kernels::combine_rows(current_context().stream,
                        {.x = x.view(), .index = map.inverse.view(), .out = out.view()});
  return out;
}

}  // namespace

Variable gather_rows(const Variable& x, const RowMap& map) {
  require("gather_rows", "x", x.value(), {map.inverse.dim(0), -1}, x.dtype());
  Tensor out = gather(x.value(), map);
  if (!needs_record({&x})) return Variable(std::move(out));
  return Tape::current()->record_one("gather_rows", std::move(out),
                                     [map, slot = x.slot()](const Tensor& dout) {
                                       slot->accumulate(combine(dout, map));
                                     });
}

Variable combine_rows(const Variable& x, const RowMap& map) {
  require("combine_rows", "x", x.value(), {map.row.dim(0), -1}, x.dtype());
  Tensor out = combine(x.value(), map);
  if (!needs_record({&x})) return Variable(std::move(out));
  return Tape::current()->record_one("combine_rows", std::move(out),
                                     [map, slot = x.slot()](const Tensor& dout) {
                                       slot->accumulate(gather(dout, map));
                                     });
}

}  // namespace moe::ops
