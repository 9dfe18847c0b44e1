#include "ops/activation.h"

#include "autograd/tape.h"
#include "base/error.h"
#include "base/format.h"

namespace moe::ops {

Variable activation(const Variable& x, const Variable& weight, ActivationKind kind, bool gated) {
  if (x.value().rank() != 2 || (gated && x.dim(1) % 2 != 0)) {
    throw ShapeError(format("[activation] x: expected [R, {}F], got {}", gated ? "2" : "",
                            describe(x.value())));
  }
  const DType weight_dtype = x.dtype() == DType::F64 ? DType::F64 : DType::F32;
  if (weight.defined()) require("activation", "weight", weight.value(), {x.dim(0)}, weight_dtype);
  const View weight_view = weight.defined() ? weight.value().view() : View{};
  Tensor out = Tensor::empty({x.dim(0), gated ? x.dim(1) / 2 : x.dim(1)}, x.dtype());
  kernels::activation(current_context().stream, {.x = x.value().view(),
                                                 .weight = weight_view,
                                                 .out = out.view(),
                                                 .kind = kind,
                                                 .gated = gated});
  if (!needs_record({&x, &weight})) return Variable(std::move(out));
  return Tape::current()->record_one(
      "activation", std::move(out),
      [x = x.value(), weight = weight.value(), to_x = x.slot(), to_weight = weight.slot(), kind,
       gated, weight_dtype](const Tensor& dout) {
        Tensor dx = Tensor::empty(x.shape(), x.dtype());
        Tensor dweight;
        if (weight.defined()) dweight = Tensor::empty(weight.shape(), weight_dtype);
        kernels::activation_backward(
            current_context().stream,
            {.x = x.view(),
             .weight = weight.defined() ? weight.view() : View{},
             .dout = dout.view(),
             .dx = dx.view(),
             .dweight = weight.defined() ? dweight.view() : View{},
             .kind = kind,
             .gated = gated});
        accumulate(to_x, std::move(dx));
        if (weight.defined()) accumulate(to_weight, std::move(dweight));
      });
}

}  // namespace moe::ops
