#include "device/allocator.h"

#include <sys/mman.h>

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
constexpr std::int64_t kHugePage = std::int64_t{2} << 20;
constexpr std::int64_t kAddressSpace = std::int64_t{1} << 47;  // no request beyond can succeed

// Eight classes per doubling: at most 12.5 % of a block is slack.
std::int64_t size_class(std::int64_t bytes) {
  bytes = std::max<std::int64_t>(bytes, kAlignment);
  const int width = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(bytes - 1)));
  const std::int64_t step =
      std::max<std::int64_t>(kAlignment, std::int64_t{1} << std::max(0, width - 4));
  return (bytes + step - 1) / step * step;
}

void* system_allocate(std::int64_t bytes) {
  const std::int64_t alignment = bytes >= kHugePage ? kHugePage : kAlignment;
  const std::int64_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* pointer = std::aligned_alloc(static_cast<std::size_t>(alignment),
                                     static_cast<std::size_t>(rounded));
  if (pointer != nullptr && bytes >= kHugePage) {
    ::madvise(pointer, static_cast<std::size_t>(rounded), MADV_HUGEPAGE);
  }
  return pointer;
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
  void* pointer = allowed ? take_locked(size_class(bytes)) : nullptr;
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

void* Allocator::take_locked(std::int64_t block_bytes) {
  if (const auto found = free_.find(block_bytes); found != free_.end() && !found->second.empty()) {
    void* pointer = found->second.back();
    found->second.pop_back();
    return pointer;
  }
  void* pointer = system_allocate(block_bytes);
  if (pointer == nullptr) {
    // Free blocks of other sizes are of no use to anybody now.
    trim_locked();
    pointer = system_allocate(block_bytes);
  }
  if (pointer != nullptr) ++system_allocations_;
  return pointer;
}

void Allocator::release(void* pointer, std::int64_t bytes, MemoryCategory category) noexcept {
  if (pointer == nullptr) return;
  const std::lock_guard lock(mutex_);
  free_[size_class(bytes)].push_back(pointer);
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
  return system_allocations_;
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
}

}  // namespace moe
