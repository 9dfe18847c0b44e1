#include "ops/activated_linear.h"

#include "autograd/tape.h"
#include "ops/grouped_linear.h"
#include "ops/linear.h"
#include "ops/linear_gradients.h"

namespace moe::ops {
namespace {

/// The activation's part of backward.
class SavedActivation {
 public:
  explicit SavedActivation(const Activated& input)
      : x_(input.x.value()), weight_(input.weight.value()), to_x_(input.x.slot()),
        to_weight_(input.weight.slot()), kind_(input.kind), gated_(input.gated) {}

  /// Sends the gradients of `out` on and returns what activation() gave. Gives up x.
  Tensor backward(const Tensor& dout) {
    Tensor out = Tensor::empty(dout.shape(), dout.dtype());
    Tensor dx = x_.unique() ? x_ : Tensor::empty(x_.shape(), x_.dtype());
    Tensor dweight;
    if (weight_.defined()) dweight = Tensor::empty(weight_.shape(), weight_.dtype());
    kernels::activation_backward(current_context().stream,
                                 {.x = x_.view(),
                                  .weight = weight_.defined() ? weight_.view() : View{},
                                  .dout = dout.view(),
                                  .dx = dx.view(),
                                  .dweight = weight_.defined() ? dweight.view() : View{},
                                  .kind = kind_,
                                  .gated = gated_,
                                  .out = out.view()});
    x_ = Tensor();
    accumulate(to_x_, std::move(dx));
    if (weight_.defined()) accumulate(to_weight_, std::move(dweight));
    return out;
  }

 private:
  Tensor x_;
  Tensor weight_;
  std::shared_ptr<GradientSlot> to_x_;
  std::shared_ptr<GradientSlot> to_weight_;
  ActivationKind kind_;
  bool gated_;
};

/// Without a tape: nothing is kept.
Tensor activated(const Activated& input) {
  const TapeScope unrecorded(nullptr);
  return activation(Variable(input.x.value()), Variable(input.weight.value()), input.kind,
                    input.gated)
      .value();
}

Tensor forward(const Activated& input, const Tensor* offset, Leaf& weight) {
  const Variable hidden(activated(input));
  const TapeScope unrecorded(nullptr);
  return offset != nullptr ? grouped_linear(hidden, nullptr, *offset, weight).value()
                           : linear(hidden, weight).value();
}

}  // namespace

Variable activated_linear(const Activated& input, Leaf& weight) {
  Tensor y = forward(input, nullptr, weight);
  if (!needs_record({&input.x, &input.weight}, {&weight})) return Variable(std::move(y));
  return Tape::current()->record_one(
      "activated_linear", std::move(y),
      [saved = SavedActivation(input), &weight, use = weight.use()](const Tensor& dy_RN) mutable {
        const Tensor hidden_RF = saved.backward(linear_input_gradient(dy_RN, weight));
        if (use) add_linear_weight_gradient(dy_RN, hidden_RF, weight);
      });
}

Variable activated_grouped_linear(const Activated& input, const Tensor& offset, Leaf& weight) {
  Tensor y = forward(input, &offset, weight);
  if (!needs_record({&input.x, &input.weight}, {&weight})) return Variable(std::move(y));
  return Tape::current()->record_one(
      "activated_grouped_linear", std::move(y),
      [saved = SavedActivation(input), offset, &weight,
       use = weight.use()](const Tensor& dy_RN) mutable {
        const Tensor hidden_RF = saved.backward(grouped_input_gradient(dy_RN, offset, weight));
        if (use) add_grouped_weight_gradient(dy_RN, hidden_RF, View{}, offset, weight);
      });
}

}  // namespace moe::ops
