/// Byte pair encoding of one word.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace moe::data::bpe {

/// Two neighbours, and the token that replaces them. The place in the list is the rank.
struct Merge {
  std::int32_t left = 0;
  std::int32_t right = 0;
  std::int32_t result = 0;
};

/// Joins the neighbours of the lowest rank, the leftmost first, until none can be joined.
/// @thread any, after construction
class Merger {
 public:
  /// `bytes`: the token of every byte. Of a repeated pair the last rank counts.
  Merger(const std::array<std::int32_t, 256>& bytes, const std::vector<Merge>& merges);

  /// Appends the tokens of `word`. @cost n^2 for short words, n log n for long ones
  void append(std::string_view word, std::vector<std::int32_t>& ids) const;

 private:
  struct Slot {
    std::uint64_t pair = 0;
    std::uint32_t rank = 0;
    std::int32_t result = 0;
  };
  struct Found {
    std::uint32_t rank;
    std::int32_t result;
  };
  class Scan;
  class Queue;

  Found find(std::int32_t left, std::int32_t right) const;
  Slot& slot_of(std::uint64_t pair);

  std::array<std::int32_t, 256> bytes_;
  std::vector<Slot> slots_;  // open addressing, a power of two, never full
  std::uint64_t mask_ = 0;
};

}  // namespace moe::data::bpe
