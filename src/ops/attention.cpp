#include "ops/attention.h"

#include "autograd/tape.h"
#include "base/error.h"
#include "base/format.h"
#include "kernels/attention/attention.h"

namespace moe::ops {
namespace {

void check(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionRange& range) {
  const bool good = q.rank() == 3 && k.rank() == 3 && v.shape() == k.shape() &&
                    q.dim(2) == k.dim(2) && k.dim(1) > 0 && q.dim(1) % k.dim(1) == 0 &&
                    range.batch > 0 && q.dim(0) % range.batch == 0 && k.dim(0) % range.batch == 0;
  if (!good) {
    throw ShapeError(format(
        "[attention] expected q [B*Sq, H, C], k and v [B*Sk, G, C] with G dividing H, got {}, {}, {} "
        "in {} sequences",
        describe(q), describe(k), describe(v), range.batch));
  }
  require("attention", "begin", range.begin, {q.dim(0)}, DType::I32);
  require("attention", "end", range.end, {q.dim(0)}, DType::I32);
}

}  // namespace

Variable attention(const Variable& q, const Variable& k, const Variable& v,
                   const AttentionRange& range, double scale) {
  check(q.value(), k.value(), v.value(), range);
  Tensor o = Tensor::empty(q.shape(), q.dtype());
  Tensor logsumexp = Tensor::empty({q.dim(0), q.dim(1)},
                                   q.dtype() == DType::F64 ? DType::F64 : DType::F32);
  kernels::attention(current_context().stream, {.q = q.value().view(),
                                                .k = k.value().view(),
                                                .v = v.value().view(),
                                                .begin = range.begin.view(),
                                                .end = range.end.view(),
                                                .o = o.view(),
                                                .logsumexp = logsumexp.view(),
                                                .scale = scale,
                                                .batch = range.batch});
  if (!needs_record({&q, &k, &v})) return Variable(std::move(o));
  const Tensor output = o;
  return Tape::current()->record_one(
      "attention", std::move(o),
      [q = q.value(), k = k.value(), v = v.value(), output, logsumexp, range, scale,
       to_q = q.slot(), to_k = k.slot(), to_v = v.slot()](const Tensor& d_o) {
        Tensor dq = Tensor::empty(q.shape(), q.dtype());
        Tensor dk = Tensor::empty(k.shape(), k.dtype());
        Tensor dv = Tensor::empty(v.shape(), v.dtype());
        kernels::attention_backward(current_context().stream, {.q = q.view(),
                                                               .k = k.view(),
                                                               .v = v.view(),
                                                               .begin = range.begin.view(),
                                                               .end = range.end.view(),
                                                               .o = output.view(),
                                                               .logsumexp = logsumexp.view(),
                                                               .d_o = d_o.view(),
                                                               .dq = dq.view(),
                                                               .dk = dk.view(),
                                                               .dv = dv.view(),
                                                               .scale = scale,
                                                               .batch = range.batch});
        accumulate(to_q, std::move(dq));
        accumulate(to_k, std::move(dk));
        accumulate(to_v, std::move(dv));
      });
}

}  // namespace moe::ops
