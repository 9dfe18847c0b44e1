#include "device/allocator.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <new>

#include "base/check.h"
#include "base/error.h"
#include "base/format.h"

namespace moe {
namespace {

constexpr std::int64_t kAlignment = 64;
/// From here on blocks come from the arena.
constexpr std::int64_t kLarge = std::int64_t{1} << 20;
constexpr std::int64_t kAddressSpace = std::int64_t{1} << 47;  // no request beyond can succeed

// Eight classes per doubling: at most 12.5 % of a block is slack.
std::int64_t size_class(std::int64_t bytes) {
  bytes = std::max<std::int64_t>(bytes, kAlignment);
  const int width = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(bytes - 1)));
  const std::int64_t step =
      std::max<std::int64_t>(kAlignment, std::int64_t{1} << std::max(0, width - 4));
  return (bytes + step - 1) / step * step;
}

bool is_large(std::int64_t bytes) { return size_class(bytes) >= kLarge; }

void* system_allocate(std::int64_t bytes) {
  return std::aligned_alloc(static_cast<std::size_t>(kAlignment), static_cast<std::size_t>(bytes));
}

}  // namespace

const char* to_string(MemoryCategory category) {
  switch (category) {
    case MemoryCategory::Parameters: return "parameters";
    case MemoryCategory::Gradients: return "gradients";
    case MemoryCategory::Optimizer: return "optimizer";
    case MemoryCategory::Activations: return "activations";
    case MemoryCategory::Exchange: return "exchange";
    case MemoryCategory::Workspace: return "workspace";
  }
  return "unknown";
}

Allocator::Allocator(Device device, std::int64_t limit_bytes)
    : device_(device), limit_bytes_(limit_bytes) {}

Allocator::~Allocator() { trim(); }

void* Allocator::allocate(std::int64_t bytes, MemoryCategory category) {
  MOE_CHECK_GE(bytes, 0);
  const std::lock_guard lock(mutex_);
  const bool allowed =
      bytes <= kAddressSpace && (limit_bytes_ == 0 || total_.bytes + bytes <= limit_bytes_);
  void* pointer = allowed ? take_locked(bytes) : nullptr;
  if (pointer == nullptr) {
    throw OutOfMemory(format(
        "out of memory on {}: asked for {} ({}), held {}{}\n{}HINT: lower "
        "training.micro_batch_size or training.sequence_length",
        to_string(device_), human_bytes(static_cast<double>(bytes)), to_string(category),
        human_bytes(static_cast<double>(total_.bytes)),
        limit_bytes_ > 0 ? ", limit " + human_bytes(static_cast<double>(limit_bytes_)) : "",
        table_locked()));
  }
  for (MemoryAccount* account : {&accounts_[static_cast<std::size_t>(category)], &total_}) {
    account->bytes += bytes;
    account->peak_bytes = std::max(account->peak_bytes, account->bytes);
  }
  return pointer;
}

void* Allocator::take_locked(std::int64_t bytes) {
  const auto take = [&] { return is_large(bytes) ? large_.take(bytes) : take_small_locked(bytes); };
  void* pointer = take();
  if (pointer == nullptr) {
    // Free blocks elsewhere are of no use to anybody now.
    trim_locked();
    pointer = take();
  }
  return pointer;
}

void* Allocator::take_small_locked(std::int64_t bytes) {
  const std::int64_t block_bytes = size_class(bytes);
  if (const auto found = free_.find(block_bytes); found != free_.end() && !found->second.empty()) {
    void* pointer = found->second.back();
    found->second.pop_back();
    return pointer;
  }
  void* pointer = system_allocate(block_bytes);
  if (pointer != nullptr) ++small_allocations_;
  return pointer;
}

void Allocator::release(void* pointer, std::int64_t bytes, MemoryCategory category) noexcept {
  if (pointer == nullptr) return;
  const std::lock_guard lock(mutex_);
  if (is_large(bytes)) {
    large_.give(pointer, bytes);
  } else {
    free_[size_class(bytes)].push_back(pointer);
  }
  accounts_[static_cast<std::size_t>(category)].bytes -= bytes;
  total_.bytes -= bytes;
}

MemoryAccount Allocator::account(MemoryCategory category) const {
  const std::lock_guard lock(mutex_);
  return accounts_[static_cast<std::size_t>(category)];
}

MemoryAccount Allocator::total() const {
  const std::lock_guard lock(mutex_);
  return total_;
}

void Allocator::reset_peaks() {
  const std::lock_guard lock(mutex_);
  for (MemoryAccount& account : accounts_) account.peak_bytes = account.bytes;
  total_.peak_bytes = total_.bytes;
}

std::int64_t Allocator::system_allocations() const {
  const std::lock_guard lock(mutex_);
  return small_allocations_ + large_.growths();
}

std::string Allocator::table() const {
  const std::lock_guard lock(mutex_);
  return table_locked();
}

std::string Allocator::table_locked() const {
  std::string text;
  for (std::size_t i = 0; i < kMemoryCategories; ++i) {
    text += format("  {:<12} {:>12} live {:>12} peak\n", to_string(static_cast<MemoryCategory>(i)),
                   human_bytes(static_cast<double>(accounts_[i].bytes)),
                   human_bytes(static_cast<double>(accounts_[i].peak_bytes)));
  }
  return text;
}

void Allocator::trim() {
  const std::lock_guard lock(mutex_);
  trim_locked();
}

void Allocator::trim_locked() {
  for (auto& [bytes, blocks] : free_) {
    for (void* block : blocks) std::free(block);
  }
  free_.clear();
  large_.trim();
}

}  // namespace moe
