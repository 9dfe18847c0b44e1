#include "ops/rms_norm.h"

#include "autograd/tape.h"
#include "base/error.h"
#include "base/format.h"
#include "kernels/norm/rms_norm.h"

namespace moe::ops {
namespace {

DType statistic_dtype(DType dtype) { return dtype == DType::F64 ? DType::F64 : DType::F32; }

Tensor rows_of(const Tensor& tensor, std::int64_t width) {
  return tensor.reshape({width == 0 ? 0 : tensor.numel() / width, width});
}

void check(const Tensor& x, const Leaf& weight) {
  const std::int64_t width = weight.value().numel();
  if (x.rank() < 1 || width == 0 || x.dim(-1) % width != 0) {
    throw ShapeError(
        format("[rms_norm] {}: expected x [..., {}], got {}", weight.name(), width, describe(x)));
  }
}

/// What the backward of both forms needs.
struct Saved {
  Tensor sum;  // [N, D]
  Tensor rstd;
  std::shared_ptr<LeafUse> use;
};

Tensor backward(const Saved& saved, Leaf& weight, const Tensor& dy, const Tensor& dsum) {
  const Shape& shape = saved.sum.shape();
  Tensor dx = Tensor::empty(dy.shape(), dy.dtype());
  Tensor dweight;
  float beta = 0.0F;
  if (saved.use) {
    beta = weight.begin_write();
    dweight = weight.gradient().reshape({shape[1]});
  } else {
    dweight = Tensor::empty({shape[1]}, saved.rstd.dtype());
  }
  kernels::rms_norm_backward(current_context().stream,
                             {.s = saved.sum.view(),
                              .weight = weight.value().view(),
                              .rstd = saved.rstd.view(),
                              .dy = dy.reshape(shape).view(),
                              .dsum = dsum.defined() ? dsum.reshape(shape).view() : View{},
                              .dx = dx.reshape(shape).view(),
                              .dweight = dweight.view(),
                              .beta = beta});
  return dx;
}

}  // namespace

Variable rms_norm(const Variable& x, Leaf& weight, double epsilon) {
  check(x.value(), weight);
  const Tensor rows = rows_of(x.value(), weight.value().numel());
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  Saved saved{rows, Tensor::empty({rows.dim(0)}, statistic_dtype(x.dtype())), nullptr};
  kernels::rms_norm(current_context().stream, {.x = rows.view(),
                                               .weight = weight.value().view(),
                                               .y = y.reshape(rows.shape()).view(),
                                               .rstd = saved.rstd.view(),
                                               .epsilon = epsilon});
  if (!needs_record({&x}, {&weight})) return Variable(std::move(y));
  saved.use = weight.use();
  return Tape::current()->record_one(
      "rms_norm", std::move(y),
      [saved = std::move(saved), slot = x.slot(), &weight](const Tensor& dy) {
        accumulate(slot, backward(saved, weight, dy, Tensor()));
      });
}

ResidualNorm add_rms_norm(const Variable& x, const Variable& delta, Leaf& weight, double epsilon) {
  check(x.value(), weight);
  if (x.shape() != delta.shape() || x.dtype() != delta.dtype()) {
    throw ShapeError(format("[add_rms_norm] delta: expected {}, got {}", describe(x.value()),
                            describe(delta.value())));
  }
  const Tensor rows = rows_of(x.value(), weight.value().numel());
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  Tensor sum = Tensor::empty(x.shape(), x.dtype());
  Saved saved{sum.reshape(rows.shape()),
              Tensor::empty({rows.dim(0)}, statistic_dtype(x.dtype())), nullptr};
  kernels::rms_norm(current_context().stream,
                    {.x = rows.view(),
                     .delta = delta.value().reshape(rows.shape()).view(),
                     .weight = weight.value().view(),
                     .sum = saved.sum.view(),
                     .y = y.reshape(rows.shape()).view(),
                     .rstd = saved.rstd.view(),
                     .epsilon = epsilon});
  if (!needs_record({&x, &delta}, {&weight})) {
    return {Variable(std::move(sum)), Variable(std::move(y))};
  }
  saved.use = weight.use();
  auto outputs = Tape::current()->record(
      "add_rms_norm", {std::move(sum), std::move(y)},
      [saved = std::move(saved), to_x = x.slot(), to_delta = delta.slot(),
       &weight](std::span<const Tensor> gradients) {
        const Tensor dsum = gradients[1].defined()
                                ? backward(saved, weight, gradients[1], gradients[0])
                                : gradients[0];
        accumulate(to_x, dsum);
        accumulate(to_delta, dsum);
      });
  return {outputs[0], outputs[1]};
}

}  // namespace moe::ops
