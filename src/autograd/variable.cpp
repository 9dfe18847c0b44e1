#include "autograd/variable.h"

#include <utility>

#include "autograd/accumulate.h"
#include "autograd/tape.h"
#include "base/check.h"

namespace moe {

void GradientSlot::accumulate(Tensor gradient) {
  if (!gradient_.defined()) {
    gradient_ = std::move(gradient);
    return;
  }
  MOE_CHECK_EQ(gradient_.numel(), gradient.numel());
  if (gradient_.unique()) {
    add_into(gradient_, gradient);
  } else if (gradient.unique()) {
    // a + b = b + a bit for bit, so the order of arrival does not show.
    add_into(gradient, gradient_);
    gradient_ = std::move(gradient);
  } else {
    Tensor sum = gradient_.clone();
    add_into(sum, gradient);
    gradient_ = std::move(sum);
  }
}

Tensor GradientSlot::take() { return std::exchange(gradient_, Tensor()); }

Variable Variable::reshape(const Shape& shape) const {
  if (shape == value_.shape()) return *this;
  Tensor reshaped = value_.reshape(shape);
  if (!slot_ || Tape::current() == nullptr) return Variable(std::move(reshaped));
  const Shape original = value_.shape();
  return Tape::current()->record_one("reshape", std::move(reshaped),
                                     [slot = slot_, original](const Tensor& dy) {
                                       slot->accumulate(dy.reshape(original));
                                     });
}

}  // namespace moe
