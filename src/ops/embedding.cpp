#include "ops/embedding.h"

#include "autograd/tape.h"
#include "kernels/elementwise/rows.h"

namespace moe::ops {
namespace {

/// Ids whose row receives a gradient; the padding id becomes -1, which is skipped.
Tensor without_padding(const Tensor& token, std::int32_t padding) {
  if (padding < 0) return token;
  Tensor kept = token.clone();
  for (std::int32_t& id : kept.span<std::int32_t>()) {
    if (id == padding) id = -1;
  }
  return kept;
}

}  // namespace

Variable embedding(const Tensor& token, Leaf& table, std::int32_t padding) {
  require("embedding", "token", token, {-1}, DType::I32);
  const Tensor& weight = table.value();
  Tensor out = Tensor::empty({token.dim(0), weight.dim(1)}, weight.dtype());
  kernels::gather_rows(current_context().stream,
                       {.x = weight.view(), .index = token.view(), .out = out.view()});
  if (!needs_record({}, {&table})) return Variable(std::move(out));
  return Tape::current()->record_one(
      "embedding", std::move(out),
      [index = without_padding(token, padding), &table, use = table.use()](const Tensor& dout) {
        const float beta = table.begin_write();
        const Tensor target = table.gradient().reshape(table.value().shape());
        kernels::scatter_add_rows(current_context().stream, {.x = dout.view(),
                                                             .index = index.view(),
                                                             .target = target.view(),
                                                             .beta = beta});
      });
}

}  // namespace moe::ops
