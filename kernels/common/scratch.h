/// Short-lived working memory of a kernel call, kept by the thread from call to call.
#pragma once

#include <cstddef>
#include <cstdint>

namespace moe::kernels {

/// `bytes` bytes, 64-byte aligned, uninitialised, until the object dies.
/// @invariant objects of one thread die in reverse order of birth (they are locals)
/// @thread other threads may use the memory while it lives
/// @cost no allocation once a thread has seen its largest demand
class Scratch {
 public:
  explicit Scratch(std::int64_t bytes);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  template <class T>
  __attribute__((always_inline)) T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
  bool cached_ = false;
};

}  // namespace moe::kernels
