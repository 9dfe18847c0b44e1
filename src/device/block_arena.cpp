#include "device/block_arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <iterator>

#include "base/check.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) (static_cast<void>(address), static_cast<void>(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) (static_cast<void>(address), static_cast<void>(size))
#endif

namespace moe {
namespace {

constexpr std::int64_t kGranule = 4096;
constexpr std::int64_t kHugePage = std::int64_t{2} << 20;
/// Of address space; only what is touched takes memory.
constexpr std::int64_t kSegment = std::int64_t{4} << 30;
/// Never handed out, so that AddressSanitizer sees writes past a block's end.
#if defined(__SANITIZE_ADDRESS__)
constexpr std::int64_t kRedZone = 64;
#else
constexpr std::int64_t kRedZone = 0;
#endif

std::int64_t rounded_up(std::int64_t bytes, std::int64_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

std::int64_t block_bytes(std::int64_t bytes) { return rounded_up(bytes + kRedZone, kGranule); }

void* pointer_to(std::uintptr_t address) { return reinterpret_cast<void*>(address); }

/// Address space that begins on a huge page; 0 when there is none.
std::uintptr_t reserve(std::int64_t bytes) {
  const auto asked = static_cast<std::size_t>(bytes + kHugePage);
  void* mapped = ::mmap(nullptr, asked, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return 0;
  const auto begin = reinterpret_cast<std::uintptr_t>(mapped);
  const auto base = static_cast<std::uintptr_t>(rounded_up(static_cast<std::int64_t>(begin), kHugePage));
  if (base > begin) ::munmap(mapped, base - begin);
  const std::uintptr_t end = base + static_cast<std::uintptr_t>(bytes);
  if (begin + asked > end) ::munmap(pointer_to(end), begin + asked - end);
  ::madvise(pointer_to(base), static_cast<std::size_t>(bytes), MADV_HUGEPAGE);
  return base;
}

void unmap(std::uintptr_t base, std::int64_t bytes) {
  ASAN_UNPOISON_MEMORY_REGION(pointer_to(base), static_cast<std::size_t>(bytes));
  ::munmap(pointer_to(base), static_cast<std::size_t>(bytes));
}

}  // namespace

BlockArena::~BlockArena() {
  for (const auto& [base, segment] : segments_) unmap(base, segment.size);
}

void* BlockArena::take(std::int64_t bytes) {
  const std::int64_t block = block_bytes(bytes);
  void* taken = nullptr;
  if (const auto found = by_size_.lower_bound({block, 0}); found != by_size_.end()) {
    const auto [free_bytes, from] = *found;
    drop_range(from, free_bytes);
    taken = cut(from, free_bytes, block);
  } else {
    taken = extend(block);
    if (taken == nullptr && map_segment(block)) taken = extend(block);
  }
  if (taken != nullptr) ASAN_UNPOISON_MEMORY_REGION(taken, static_cast<std::size_t>(bytes));
  return taken;
}

void* BlockArena::cut(Address from, std::int64_t free_bytes, std::int64_t bytes) {
  if (free_bytes > bytes) add_range(from + static_cast<Address>(bytes), free_bytes - bytes);
  return pointer_to(from);
}

/// Above a top, beginning with the free range below it, if there is one.
void* BlockArena::extend(std::int64_t bytes) {
  for (auto& [base, segment] : segments_) {
    Address from = segment.top;
    const auto above = ranges_.lower_bound(segment.top);
    if (above != ranges_.begin()) {
      const auto [begin, size] = *std::prev(above);
      if (begin >= base && begin + static_cast<Address>(size) == segment.top) from = begin;
    }
    const Address end = from + static_cast<Address>(bytes);
    if (end > base + static_cast<Address>(segment.size)) continue;
    if (from < segment.top) drop_range(from, static_cast<std::int64_t>(segment.top - from));
    segment.top = end;
    ++growths_;
    return pointer_to(from);
  }
  return nullptr;
}

bool BlockArena::map_segment(std::int64_t bytes) {
  const std::int64_t least = rounded_up(bytes, kHugePage);
  // Where address space is counted (ulimit -v, strict overcommit) less has to do.
  for (std::int64_t size = std::max(least, kSegment);; size = std::max(least, size / 2 / kHugePage * kHugePage)) {
    if (const Address base = reserve(size); base != 0) {
      ASAN_POISON_MEMORY_REGION(pointer_to(base), static_cast<std::size_t>(size));
      segments_[base] = {size, base};
      return true;
    }
    if (size == least) return false;
  }
}

void BlockArena::give(void* block, std::int64_t bytes) noexcept {
  auto begin = reinterpret_cast<Address>(block);
  std::int64_t size = block_bytes(bytes);
  ASAN_POISON_MEMORY_REGION(block, static_cast<std::size_t>(size));
  const auto segment = segment_of(begin);
  auto next = ranges_.lower_bound(begin);
  // Segments may lie side by side; ranges never cross from one to the next.
  const Address segment_end = segment->first + static_cast<Address>(segment->second.size);
  const Address end = begin + static_cast<Address>(size);
  if (next != ranges_.end() && next->first == end && end < segment_end) {
    const std::int64_t more = next->second;
    drop_range(end, more);
    size += more;
  }
  next = ranges_.lower_bound(begin);
  if (next != ranges_.begin()) {
    const auto [before, length] = *std::prev(next);
    if (before + static_cast<Address>(length) == begin && before >= segment->first) {
      drop_range(before, length);
      begin = before;
      size += length;
    }
  }
  add_range(begin, size);
}

void BlockArena::trim() noexcept {
  for (auto it = segments_.begin(); it != segments_.end();) {
    auto& [base, segment] = *it;
    const auto first = ranges_.find(base);
    const bool unused = segment.top == base ||
                        (first != ranges_.end() &&
                         base + static_cast<Address>(first->second) == segment.top);
    if (!unused) {
      ++it;
      continue;
    }
    if (first != ranges_.end()) drop_range(base, first->second);
    unmap(base, segment.size);
    it = segments_.erase(it);
  }
  for (const auto& [begin, size] : ranges_) {
    ::madvise(pointer_to(begin), static_cast<std::size_t>(size), MADV_DONTNEED);
  }
}

std::int64_t BlockArena::touched_bytes() const {
  std::int64_t bytes = 0;
  for (const auto& [base, segment] : segments_) bytes += static_cast<std::int64_t>(segment.top - base);
  return bytes;
}

void BlockArena::add_range(Address begin, std::int64_t bytes) {
  ranges_[begin] = bytes;
  by_size_.emplace(bytes, begin);
}

void BlockArena::drop_range(Address begin, std::int64_t bytes) {
  ranges_.erase(begin);
  by_size_.erase({bytes, begin});
}

BlockArena::Segments::iterator BlockArena::segment_of(Address address) {
  const auto above = segments_.upper_bound(address);
  MOE_CHECK(above != segments_.begin());
  return std::prev(above);
}

}  // namespace moe
