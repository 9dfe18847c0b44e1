#include "ops/top_k_router.h"

#include "autograd/tape.h"
#include "base/error.h"
#include "base/format.h"
#include "kernels/moe/sort_routes.h"
#include "kernels/moe/top_k_router.h"

namespace moe::ops {
namespace {

View view_or_absent(const Tensor& tensor) { return tensor.defined() ? tensor.view() : View{}; }

}  // namespace

TopK top_k_router(const Variable& logits, std::int64_t choices, bool renormalize) {
  const Tensor& z = logits.value();
  if (z.rank() != 2 || choices < 1 || choices > z.dim(1)) {
    throw ShapeError(
        format("[top_k_router] expected logits [T, E >= {}], got {}", choices, describe(z)));
  }
  Tensor probability = Tensor::empty(z.shape(), z.dtype());
  Tensor logsumexp = Tensor::empty({z.dim(0)}, z.dtype());
  Tensor expert = Tensor::empty({z.dim(0), choices}, DType::I32);
  Tensor weight = Tensor::empty({z.dim(0), choices}, z.dtype());
  kernels::top_k_router(current_context().stream, {.logits = z.view(),
                                                   .probability = probability.view(),
                                                   .logsumexp = logsumexp.view(),
                                                   .expert = expert.view(),
                                                   .weight = weight.view(),
                                                   .renormalize = renormalize});
  if (!needs_record({&logits})) {
    return {Variable(probability), Variable(logsumexp), expert, Variable(weight)};
  }
  auto outputs = Tape::current()->record(
      "top_k_router", {probability, logsumexp, weight},
      [probability, expert, weight, slot = logits.slot(),
       renormalize](std::span<const Tensor> gradients) {
        Tensor dlogits = Tensor::empty(probability.shape(), probability.dtype());
        const Tensor dweight = gradients[2].defined()
                                   ? gradients[2]
                                   : Tensor::zeros(weight.shape(), weight.dtype());
        kernels::top_k_router_backward(current_context().stream,
                                       {.probability = probability.view(),
                                        .expert = expert.view(),
                                        .weight = weight.view(),
                                        .dweight = dweight.view(),
                                        .dprobability = view_or_absent(gradients[0]),
                                        .dlogsumexp = view_or_absent(gradients[1]),
                                        .dlogits = dlogits.view(),
                                        .renormalize = renormalize});
        slot->accumulate(std::move(dlogits));
      });
  return {outputs[0], outputs[1], expert, outputs[2]};
}

Tensor limit_capacity(const Tensor& expert, const Tensor& weight, const CapacityLimit& limit) {
  Tensor kept = expert.clone();
  kernels::limit_capacity(current_context().stream, {.expert = kept.view(),
                                                     .weight = weight.view(),
                                                     .experts = limit.experts,
                                                     .capacity = limit.capacity,
                                                     .by_weight = limit.by_weight});
  return kept;
}

SortedRoutes sort_routes(const Tensor& expert, std::int64_t experts) {
  SortedRoutes sorted{.offset = Tensor::empty({experts + 1}, DType::I32),
                      .route = Tensor::empty({expert.numel()}, DType::I32),
                      .row = Tensor::empty(expert.shape(), DType::I32)};
  kernels::sort_routes(current_context().stream, {.expert = expert.view(),
                                                  .offset = sorted.offset.view(),
                                                  .route = sorted.route.view(),
                                                  .row = sorted.row.view()});
  sorted.route = sorted.route.narrow(0, sorted.offset.span<std::int32_t>().back());
  return sorted;
}

}  // namespace moe::ops
