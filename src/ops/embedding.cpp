#include "ops/embedding.h"

#include "autograd/tape.h"
#include "kernels/elementwise/rows.h"

namespace moe::ops {

Variable embedding(const Tensor& token, Leaf& table) {
  require("embedding", "token", token, {-1}, DType::I32);
  const Tensor& weight = table.value();
  Tensor out = Tensor::empty({token.dim(0), weight.dim(1)}, weight.dtype());
  kernels::gather_rows(current_context().stream,
                       {.x = weight.view(), .index = token.view(), .out = out.view()});
  if (!needs_record({}, {&table})) return Variable(std::move(out));
  return Tape::current()->record_one(
      "embedding", std::move(out), [token, &table, use = table.use()](const Tensor& dout) {
        const float beta = table.begin_write();
        kernels::scatter_add_rows(current_context().stream, {.x = dout.view(),
                                                             .index = token.view(),
                                                             .target = table.gradient().reshape(table.value().shape()).view(),
                                                             .beta = beta});
      });
}

}  // namespace moe::ops
