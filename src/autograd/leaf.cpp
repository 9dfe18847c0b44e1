#include "autograd/leaf.h"

#include <utility>

#include "autograd/tape.h"
#include "base/check.h"

namespace moe {

LeafUse::LeafUse(Leaf& leaf) : leaf_(leaf) { ++leaf_.pending_uses_; }

LeafUse::~LeafUse() noexcept(false) { leaf_.release(); }

void Leaf::release() {
  MOE_CHECK_GE(pending_uses_, 1);
  // A tape dropped without backward gives up its uses silently.
  if (--pending_uses_ == 0 && Tape::in_backward() && ready_hook_) ready_hook_(*this);
}

void Leaf::set_gradient(Tensor window) {
  MOE_CHECK_EQ(window.numel(), value_.numel());
  MOE_CHECK(window.dtype() == (value_.dtype() == DType::F64 ? DType::F64 : DType::F32));
  gradient_ = std::move(window);
}

void Leaf::drop_gradient() {
  gradient_ = Tensor();
  written_ = false;
}

float Leaf::begin_write() {
  if (!gradient_.defined() && gradient_source_) {
    gradient_source_(*this);
    MOE_CHECK(gradient_.defined());
  }
  if (!gradient_.defined()) {
    gradient_ = Tensor::empty(value_.shape(), value_.dtype() == DType::F64 ? DType::F64 : DType::F32,
                              MemoryCategory::Gradients);
  }
  return std::exchange(written_, true) ? 1.0F : 0.0F;
}

void Leaf::zero_unless_written() {
  if (begin_write() == 0.0F) gradient_.fill(0.0);
}

std::shared_ptr<LeafUse> Leaf::use() {
  Tape* tape = Tape::current();
  if (tape == nullptr || !trainable_) return nullptr;
  auto use = std::make_shared<LeafUse>(*this);
  tape->note_use(use);
  return use;
}

}  // namespace moe
