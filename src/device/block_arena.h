/// Large blocks cut from long stretches of address space, so that what one size gave back serves any other.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>

namespace moe {

/// Best fit at the lowest address; neighbours that are free become one range. Memory is touched from the bottom of
/// a segment upwards, and new memory only when no range below fits: what is resident is the most that was ever in
/// use plus the gaps between blocks.
/// @invariant blocks are 64-byte aligned; equal sequences of take and give yield equal blocks  @det yes
/// @thread one at a time
/// @cost logarithmic in the free ranges
class BlockArena {
 public:
  BlockArena() = default;
  ~BlockArena();
  BlockArena(const BlockArena&) = delete;
  BlockArena& operator=(const BlockArena&) = delete;

  /// At least `bytes`, or null when the system has no more.
  void* take(std::int64_t bytes);
  /// `bytes` as they were asked for.
  void give(void* block, std::int64_t bytes) noexcept;
  /// Hands free memory back to the system; blocks in use stay where they are.
  void trim() noexcept;

  /// Times memory that was not touched before was begun: constant in a steady loop.
  std::int64_t growths() const { return growths_; }
  /// Memory below the segments' tops: in use, or free to be taken again.
  std::int64_t touched_bytes() const;

 private:
  using Address = std::uintptr_t;
  struct Segment {
    std::int64_t size = 0;
    Address top = 0;  ///< nothing at or above was taken since the segment was mapped or trimmed
  };
  using Segments = std::map<Address, Segment>;

  void* cut(Address from, std::int64_t free_bytes, std::int64_t bytes);
  void* extend(std::int64_t bytes);
  bool map_segment(std::int64_t bytes);
  void add_range(Address begin, std::int64_t bytes);
  void drop_range(Address begin, std::int64_t bytes);
  Segments::iterator segment_of(Address address);

  Segments segments_;                                  // by base
  std::map<Address, std::int64_t> ranges_;             // free ranges below the tops, by address
  std::set<std::pair<std::int64_t, Address>> by_size_;  // the same
  std::int64_t growths_ = 0;
};

}  // namespace moe
