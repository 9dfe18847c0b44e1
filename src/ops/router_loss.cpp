#include "ops/router_loss.h"

#include "autograd/tape.h"
#include "kernels/moe/balance.h"

namespace moe::ops {
namespace {

View view_or_absent(const Tensor& tensor) { return tensor.defined() ? tensor.view() : View{}; }

}  // namespace

Variable weighted_score_sum(const Variable& probability, const Tensor& coefficient,
                            const Tensor& group, const Tensor& mask) {
  require("weighted_score_sum", "coefficient", coefficient, {-1, probability.dim(1)}, DType::F64);
  if (group.defined()) require("weighted_score_sum", "group", group, {probability.dim(0)}, DType::I32);
  if (mask.defined()) require("weighted_score_sum", "mask", mask, {probability.dim(0)}, DType::U8);
  Tensor out = Tensor::empty({1}, DType::F64);
  kernels::weighted_score_sum(current_context().stream,
                              {.probability = probability.value().view(),
                               .coefficient = coefficient.view(),
                               .group = view_or_absent(group),
                               .mask = view_or_absent(mask),
                               .out = out.view()});
  if (!needs_record({&probability})) return Variable(std::move(out));
  return Tape::current()->record_one(
      "weighted_score_sum", std::move(out),
      [coefficient, group, mask, slot = probability.slot(), shape = probability.shape(),
       dtype = probability.dtype()](const Tensor& dout) {
        Tensor dprobability = Tensor::empty(shape, dtype);
        kernels::weighted_score_sum_backward(current_context().stream,
                                             {.coefficient = coefficient.view(),
                                              .group = view_or_absent(group),
                                              .mask = view_or_absent(mask),
                                              .dout = dout.view(),
                                              .dprobability = dprobability.view()});
        slot->accumulate(std::move(dprobability));
      });
}

Variable masked_square_sum(const Variable& x, const Tensor& mask) {
  if (mask.defined()) require("masked_square_sum", "mask", mask, {x.dim(0)}, DType::U8);
  Tensor out = Tensor::empty({1}, DType::F64);
  kernels::masked_square_sum(
      current_context().stream,
      {.x = x.value().view(), .mask = view_or_absent(mask), .out = out.view()});
  if (!needs_record({&x})) return Variable(std::move(out));
  return Tape::current()->record_one(
      "masked_square_sum", std::move(out),
      [x = x.value(), mask, slot = x.slot()](const Tensor& dout) {
        Tensor dx = Tensor::empty(x.shape(), x.dtype());
        kernels::masked_square_sum_backward(
            current_context().stream,
            {.x = x.view(), .mask = view_or_absent(mask), .dout = dout.view(), .dx = dx.view()});
        slot->accumulate(std::move(dx));
      });
}

Tensor count_routes(const Tensor& expert, const Tensor& group, const Tensor& mask,
                    const Shape& counts) {
  Tensor count = Tensor::zeros(counts, DType::I64);
  kernels::count_routes(current_context().stream, {.expert = expert.view(),
                                                   .group = view_or_absent(group),
                                                   .mask = view_or_absent(mask),
                                                   .count = count.view()});
  return count;
}

}  // namespace moe::ops
