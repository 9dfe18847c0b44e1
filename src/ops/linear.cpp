#include "ops/linear.h"

#include "autograd/tape.h"
#include "base/error.h"
#include "base/format.h"
#include "kernels/elementwise/arithmetic.h"
#include "kernels/gemm/gemm.h"
#include "ops/linear_gradients.h"

namespace moe::ops {
namespace {

void check(const Tensor& x, const Leaf& weight, const Leaf* bias) {
  const Tensor& w = weight.value();
  if (x.rank() < 1 || w.rank() < 2 || x.dim(-1) != w.dim(-1)) {
    throw ShapeError(format("[linear] {}: expected x [..., {}], got {}", weight.name(), w.dim(-1),
                            describe(x)));
  }
  if (x.dtype() != w.dtype()) {
    throw DTypeError(format("[linear] {}: x is {}, weight is {}", weight.name(), describe(x),
                            describe(w)));
  }
  if (bias != nullptr && bias->value().numel() != w.numel() / w.dim(-1)) {
    throw ShapeError(format("[linear] {}: expected [{}], got {}", bias->name(),
                            w.numel() / w.dim(-1), describe(bias->value())));
  }
}

}  // namespace

Variable linear(const Variable& x, Leaf& weight, Leaf* bias) {
  check(x.value(), weight, bias);
  Stream& stream = current_context().stream;
  const Tensor x_TK = as_matrix(x.value());
  const Tensor w_NK = as_matrix(weight.value());
  Shape shape = x.shape();
  shape.set(-1, w_NK.dim(0));
  Tensor y = Tensor::empty(shape, x.dtype());
  const Tensor y_TN = y.reshape({x_TK.dim(0), w_NK.dim(0)});
  kernels::gemm(stream,
                {.a = x_TK.view(), .b = w_NK.view(), .c = y_TN.view(), .transpose_b = true});
  if (bias != nullptr) {
    kernels::add_bias(stream, {.x = y_TN.view(), .bias = bias->value().view(), .y = y_TN.view()});
  }
  if (!needs_record({&x}, {&weight, bias})) return Variable(std::move(y));
  return Tape::current()->record_one(
      "linear", std::move(y),
      [x_TK, x_shape = x.shape(), slot = x.slot(), &weight, use = weight.use(),
       bias_use = bias != nullptr ? bias->use() : nullptr](const Tensor& dy) {
        const Tensor dy_TN = as_matrix(dy);
        if (slot) slot->accumulate(linear_input_gradient(dy_TN, weight).reshape(x_shape));
        if (use) add_linear_weight_gradient(dy_TN, x_TK, weight);
        if (bias_use) {
          Leaf& leaf = bias_use->leaf();
          const float beta = leaf.begin_write();
          kernels::column_sum(current_context().stream,
                              {.x = dy_TN.view(),
                               .out = leaf.gradient().reshape({dy_TN.dim(1)}).view(),
                               .beta = beta});
        }
      });
}

}  // namespace moe::ops
