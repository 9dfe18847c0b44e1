/// A caching allocator that charges every byte to a category.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "device/block_arena.h"
#include "device/device.h"

namespace moe {

enum class MemoryCategory {
  Parameters,
  Gradients,
  Optimizer,
  Activations,
  Exchange,
  Workspace,
};
inline constexpr std::size_t kMemoryCategories = 6;

/// "parameters", "gradients", "optimizer", "activations", "exchange", "workspace".
const char* to_string(MemoryCategory category);

struct MemoryAccount {
  std::int64_t bytes = 0;       ///< live now
  std::int64_t peak_bytes = 0;  ///< most that was ever live
};

/// @invariant pointers are 64-byte aligned; freed blocks are reused, small ones for the same size class, large ones
///   for any size, so a steady training loop asks the system for nothing after its first steps
/// @thread any
class Allocator {
 public:
  /// `limit_bytes` bounds what is live; 0 means no bound.
  explicit Allocator(Device device = {}, std::int64_t limit_bytes = 0);
  ~Allocator();
  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;

  /// @throws OutOfMemory with bytes asked and held and the per-category table
  void* allocate(std::int64_t bytes, MemoryCategory category);
  void release(void* pointer, std::int64_t bytes, MemoryCategory category) noexcept;

  MemoryAccount account(MemoryCategory category) const;
  MemoryAccount total() const;
  /// Peaks start again from what is live now.
  void reset_peaks();
  /// Times memory was asked from the system since the start: constant in a steady loop.
  std::int64_t system_allocations() const;
  /// Lines "category  live  peak".
  std::string table() const;
  /// Returns cached free blocks to the system.
  void trim();

  Device device() const { return device_; }

 private:
  std::string table_locked() const;
  /// A block from what is free or from the system, or null.
  void* take_locked(std::int64_t bytes);
  void* take_small_locked(std::int64_t bytes);
  void trim_locked();
  Device device_;
  std::int64_t limit_bytes_;
  mutable std::mutex mutex_;
  std::map<std::int64_t, std::vector<void*>> free_;  // size class -> small blocks
  BlockArena large_;
  std::array<MemoryAccount, kMemoryCategories> accounts_{};
  MemoryAccount total_;
  std::int64_t small_allocations_ = 0;
};

}  // namespace moe
