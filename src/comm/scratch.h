/// Working memory of one collective, charged to `Exchange` where the issuing rank has an allocator.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>

#include "device/allocator.h"

namespace moe::comm {

/// @invariant freed when the collective ends; the allocator caches, so a steady loop asks the
///   system for nothing
class Scratch {
 public:
  explicit Scratch(Allocator* allocator) : allocator_(allocator) {}
  ~Scratch() { release(); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  /// At least `bytes`, 64-byte aligned; the previous range is gone. @throws OutOfMemory
  std::byte* get(std::int64_t bytes) {
    if (bytes <= bytes_) return data_;
    release();
    void* memory = allocator_ != nullptr
                       ? allocator_->allocate(bytes, MemoryCategory::Exchange)
                       : ::operator new(static_cast<std::size_t>(bytes), kAlignment);
    data_ = static_cast<std::byte*>(memory);
    bytes_ = bytes;
    return data_;
  }

 private:
  static constexpr std::align_val_t kAlignment{64};

  void release() noexcept {
    if (data_ == nullptr) return;
    if (allocator_ != nullptr) {
      allocator_->release(data_, bytes_, MemoryCategory::Exchange);
    } else {
      ::operator delete(data_, kAlignment);
    }
    data_ = nullptr;
    bytes_ = 0;
  }

  Allocator* allocator_;
  std::byte* data_ = nullptr;
  std::int64_t bytes_ = 0;
};

}  // namespace moe::comm
