/// A tensor in a computation that may be differentiated.
#pragma once

#include <memory>

#include "tensor/tensor.h"

namespace moe {

/// Where the gradient of one intermediate result gathers during backward.
class GradientSlot {
 public:
  /// Adds a contribution; the first is kept as it is, later ones are summed in order of arrival.
  /// @shape that of the variable's value, same dtype
  /// @invariant a tensor given here is never written to while anyone else shares its storage
  void accumulate(Tensor gradient);
  /// The sum so far, or an undefined tensor; the slot is empty afterwards.
  Tensor take();
  const Tensor& peek() const { return gradient_; }

 private:
  Tensor gradient_;
};

/// A cheap handle: a value, and a slot if a gradient is wanted.
class Variable {
 public:
  Variable() = default;
  /// A constant: no gradient flows into it.
  explicit Variable(Tensor value) : value_(std::move(value)) {}
  Variable(Tensor value, std::shared_ptr<GradientSlot> slot)
      : value_(std::move(value)), slot_(std::move(slot)) {}
  /// An input whose gradient can be read after backward.
  static Variable input(Tensor value) {
    return {std::move(value), std::make_shared<GradientSlot>()};
  }

  bool defined() const { return value_.defined(); }
  const Tensor& value() const { return value_; }
  const Shape& shape() const { return value_.shape(); }
  DType dtype() const { return value_.dtype(); }
  std::int64_t dim(int i) const { return value_.dim(i); }
  bool requires_gradient() const { return slot_ != nullptr; }
  const std::shared_ptr<GradientSlot>& slot() const { return slot_; }
  /// The gradient of an input after backward; undefined if none arrived.
  Tensor gradient() const { return slot_ ? slot_->peek() : Tensor(); }
  /// Same elements and gradient, other shape.
  Variable reshape(const Shape& shape) const;

 private:
  Tensor value_;
  std::shared_ptr<GradientSlot> slot_;
};

/// Adds to the slot if there is one.
inline void accumulate(const std::shared_ptr<GradientSlot>& slot, Tensor gradient) {
  if (slot) slot->accumulate(std::move(gradient));
}

}  // namespace moe
