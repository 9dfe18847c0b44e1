#include "device/context.h"

#include "base/check.h"

namespace moe {
namespace {
thread_local DeviceContext* current = nullptr;
}

DeviceContext& current_context() {
  MOE_CHECK(current != nullptr);
  return *current;
}

DeviceContext* find_context() noexcept { return current; }

ContextScope::ContextScope(DeviceContext& context) : previous_(current) { current = &context; }

ContextScope::~ContextScope() { current = previous_; }

}  // namespace moe
