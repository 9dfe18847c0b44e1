#include "ops/arithmetic.h"

#include <vector>

#include "autograd/tape.h"
#include "base/check.h"
#include "base/error.h"
#include "base/format.h"
#include "kernels/elementwise/arithmetic.h"

namespace moe::ops {

Variable add(const Variable& a, const Variable& b) {
  if (a.shape() != b.shape() || a.dtype() != b.dtype()) {
    throw ShapeError(
        format("[add] expected {}, got {}", describe(a.value()), describe(b.value())));
  }
  Tensor out = Tensor::empty(a.shape(), a.dtype());
  kernels::add(current_context().stream,
               {.a = a.value().view(), .b = b.value().view(), .out = out.view()});
  if (!needs_record({&a, &b})) return Variable(std::move(out));
  return Tape::current()->record_one("add", std::move(out),
                                     [to_a = a.slot(), to_b = b.slot()](const Tensor& dout) {
                                       accumulate(to_a, dout);
                                       accumulate(to_b, dout);
                                     });
}

namespace {

Tensor cast_tensor(const Tensor& x, DType dtype) {
  Tensor out = Tensor::empty(x.shape(), dtype);
  kernels::scale_cast(current_context().stream, {.x = x.view(), .out = out.view()});
  return out;
}

}  // namespace

Variable cast(const Variable& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  Tensor out = cast_tensor(x.value(), dtype);
  if (!needs_record({&x})) return Variable(std::move(out));
  return Tape::current()->record_one(
      "cast", std::move(out), [slot = x.slot(), from = x.dtype()](const Tensor& dout) {
        slot->accumulate(cast_tensor(dout, from));
      });
}

Variable clamp(const Variable& x, double bound) {
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  kernels::clamp(current_context().stream,
                 {.x = x.value().view(), .y = y.view(), .bound = bound});
  if (!needs_record({&x})) return Variable(std::move(y));
  return Tape::current()->record_one(
      "clamp", std::move(y), [x = x.value(), slot = x.slot(), bound](const Tensor& dy) {
        Tensor dx = Tensor::empty(x.shape(), x.dtype());
        kernels::clamp_backward(current_context().stream, {.x = x.view(),
                                                           .dy = dy.view(),
                                                           .dx = dx.view(),
                                                           .bound = bound});
        slot->accumulate(std::move(dx));
      });
}

Variable weighted_sum(std::span<const Variable> terms, std::span<const double> weights) {
  MOE_CHECK_EQ(terms.size(), weights.size());
  Stream& stream = current_context().stream;
  Tensor out = Tensor::zeros({1}, DType::F64);
  bool recorded = false;
  std::vector<std::pair<std::shared_ptr<GradientSlot>, double>> slots;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    require("weighted_sum", "term", terms[i].value(), {1}, DType::F64);
    kernels::scale_cast(stream, {.x = terms[i].value().view(),
                                 .out = out.view(),
                                 .scale = weights[i],
                                 .beta = 1.0});
    recorded = recorded || needs_record({&terms[i]});
    slots.emplace_back(terms[i].slot(), weights[i]);
  }
  if (!recorded) return Variable(std::move(out));
  return Tape::current()->record_one(
      "weighted_sum", std::move(out), [slots = std::move(slots)](const Tensor& dout) {
        for (const auto& [slot, weight] : slots) {
          if (!slot) continue;
          Tensor dterm = Tensor::empty({1}, DType::F64);
          kernels::scale_cast(current_context().stream,
                              {.x = dout.view(), .out = dterm.view(), .scale = weight});
          slot->accumulate(std::move(dterm));
        }
      });
}

Variable sigmoid_gate(const Variable& gate, const Variable& x) {
  require("sigmoid_gate", "gate", gate.value(), {x.dim(0), 1}, x.dtype());
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  kernels::sigmoid_gate(current_context().stream, {.gate = gate.value().view(),
                                                   .x = x.value().view(),
                                                   .y = y.view()});
  if (!needs_record({&gate, &x})) return Variable(std::move(y));
  return Tape::current()->record_one(
      "sigmoid_gate", std::move(y),
      [gate = gate.value(), x = x.value(), to_gate = gate.slot(),
       to_x = x.slot()](const Tensor& dy) {
        Tensor dgate = Tensor::empty(gate.shape(), gate.dtype());
        Tensor dx = Tensor::empty(x.shape(), x.dtype());
        kernels::sigmoid_gate_backward(current_context().stream, {.gate = gate.view(),
                                                                  .x = x.view(),
                                                                  .dy = dy.view(),
                                                                  .dgate = dgate.view(),
                                                                  .dx = dx.view()});
        accumulate(to_gate, std::move(dgate));
        accumulate(to_x, std::move(dx));
      });
}

}  // namespace moe::ops
