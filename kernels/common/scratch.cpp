#include "kernels/common/scratch.h"

#include <cstdlib>
#include <new>

namespace moe::kernels {
namespace {

constexpr std::size_t kAlignment = 64;
/// More than this is given back at once: a thread should not sit on memory it needed once.
constexpr std::size_t kKeptBytes = std::size_t{64} << 20;

void* allocate(std::size_t bytes) {
  void* data = std::aligned_alloc(kAlignment, bytes);
  if (data == nullptr) throw std::bad_alloc();
  return data;
}

struct Arena {
  std::byte* base = nullptr;
  std::size_t capacity = 0;
  std::size_t used = 0;
  std::size_t wanted = 0;  // the most that lived at once and may be kept
  ~Arena() { std::free(base); }

  /// Null when there is no room and memory in use forbids moving.
  void* take(std::size_t bytes) {
    if (used + bytes > wanted && used + bytes <= kKeptBytes) wanted = used + bytes;
    if (used == 0 && wanted > capacity) grow(wanted);
    if (bytes > capacity - used) return nullptr;
    void* data = base + used;
    used += bytes;
    return data;
  }
  void grow(std::size_t bytes) {
    std::free(base);
    base = nullptr;
    capacity = 0;
    base = static_cast<std::byte*>(allocate(bytes));
    capacity = bytes;
  }
};

thread_local Arena arena;

}  // namespace

Scratch::Scratch(std::int64_t bytes)
    : bytes_((static_cast<std::size_t>(bytes) + kAlignment) / kAlignment * kAlignment) {
  data_ = arena.take(bytes_);
  cached_ = data_ != nullptr;
  if (!cached_) data_ = allocate(bytes_);
}

Scratch::~Scratch() {
  if (cached_) {
    arena.used -= bytes_;
  } else {
    std::free(data_);
  }
}

}  // namespace moe::kernels
