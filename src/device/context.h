/// What one rank computes with: its stream and its allocator.
#pragma once

#include "device/allocator.h"
#include "device/stream.h"

namespace moe {

/// A rank is a process or a thread; each owns one context, made current on the thread that computes.
struct DeviceContext {
  DeviceContext(int threads, CpuIsa isa, std::int64_t memory_limit_bytes = 0)
      : stream(threads, isa), allocator({}, memory_limit_bytes) {}

  Stream stream;
  Allocator allocator;
  /// Compute in bf16 even where it must be emulated by rounding f32 (tests of the numerics).
  bool emulate_bf16 = false;
};

/// The context of this thread. @throws InternalError when none is current
DeviceContext& current_context();
/// The context of this thread, or null.
DeviceContext* find_context() noexcept;

/// Makes a context current on this thread for a scope; scopes nest.
class ContextScope {
 public:
  explicit ContextScope(DeviceContext& context);
  ~ContextScope();
  ContextScope(const ContextScope&) = delete;
  ContextScope& operator=(const ContextScope&) = delete;

 private:
  DeviceContext* previous_;
};

}  // namespace moe
