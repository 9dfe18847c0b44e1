/// A parameter as autograd sees it: a value, a gradient window owned by someone else, and a hook that
/// fires when the last use of a backward pass has written its share.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "tensor/tensor.h"

namespace moe {

class Leaf;

/// One pending use of a leaf; when the last one goes during backward, the leaf is ready. Whoever delays a
/// weight gradient keeps the use.
class LeafUse {
 public:
  explicit LeafUse(Leaf& leaf);
  ~LeafUse() noexcept(false);  // a hook may throw (a failed reduction)
  LeafUse(const LeafUse&) = delete;
  LeafUse& operator=(const LeafUse&) = delete;
  Leaf& leaf() const { return leaf_; }

 private:
  Leaf& leaf_;
};

/// @invariant nodes hold uses of a Leaf, never its weight storage; the value may be replaced between steps
/// @thread the rank's computing thread only
class Leaf {
 public:
  Leaf(std::string name, Tensor value) : name_(std::move(name)), value_(std::move(value)) {}
  Leaf(const Leaf&) = delete;
  Leaf& operator=(const Leaf&) = delete;
  virtual ~Leaf() = default;

  const std::string& name() const { return name_; }
  /// In compute dtype.
  const Tensor& value() const { return value_; }
  void set_value(Tensor value) { value_ = std::move(value); }

  bool trainable() const { return trainable_; }
  void set_trainable(bool trainable) { trainable_ = trainable; }

  /// The window weight gradients are accumulated into: f32 (f64 when the value is f64), as many elements as the
  /// value. Without a window the first write asks the source for one, or allocates it.
  void set_gradient(Tensor window);
  /// Undefined before the first write where a source or nobody provides the window.
  const Tensor& gradient() const { return gradient_; }
  /// Forgets the window and what was written.
  void drop_gradient();
  /// Called when a write finds no window; must set one. Lets the memory of gradients serve the forward pass.
  void set_gradient_source(std::function<void(Leaf&)> source) { gradient_source_ = std::move(source); }

  /// A writer's first call: the factor of what is in the window, 0 for the first write since `clear_written`
  /// (old contents are never read) and 1 afterwards; marks the window written.
  float begin_write();
  bool written() const { return written_; }
  void clear_written() { written_ = false; }
  /// Zeroes the window unless it was written (a parameter without use has an exact zero gradient).
  void zero_unless_written();

  /// Fires after the last pending use of a backward pass is gone, once per pass.
  void set_ready_hook(std::function<void(Leaf&)> hook) { ready_hook_ = std::move(hook); }

  /// Counts a use on the current tape; null when nothing is recorded or the leaf is frozen.
  std::shared_ptr<LeafUse> use();
  int pending_uses() const { return pending_uses_; }

 private:
  friend class LeafUse;
  void release();

  std::string name_;
  Tensor value_;
  Tensor gradient_;
  std::function<void(Leaf&)> gradient_source_;
  std::function<void(Leaf&)> ready_hook_;
  int pending_uses_ = 0;
  bool written_ = false;
  bool trainable_ = true;
};

}  // namespace moe
