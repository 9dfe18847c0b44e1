/// Where each index of a grown dim comes from: the maps g of function-preserving growth.
#pragma once

#include <cstdint>
#include <vector>

namespace moe::growth {

/// g: [0, result) -> [0, source), or nowhere.
/// @invariant every source index is met; copies[g(i)] counts the i that come from it
struct AxisMap {
  std::int64_t source = 0;
  std::vector<std::int64_t> from;    ///< by result index; kNowhere: zero
  std::vector<std::int64_t> copies;  ///< C, by source index
  std::vector<bool> fresh;           ///< by result index: not the first copy of its source

  std::int64_t size() const { return static_cast<std::int64_t>(from.size()); }
  /// Nothing is copied, moved or added.
  bool is_identity() const;
  /// Every source index has as many copies as the others, and none comes from nowhere.
  bool is_even() const;
};

inline constexpr std::int64_t kNowhere = -1;

/// From `from`, with the rest counted.
AxisMap make_axis_map(std::int64_t source, std::vector<std::int64_t> from);

/// g(i) = i mod source. @paper Net2Net arXiv:1511.05641; bert2BERT arXiv:2110.07143
AxisMap circular_map(std::int64_t source, std::int64_t result);

/// floor(result / source) whole copies; the other channels come from nowhere.
/// @paper LEMON arXiv:2310.07999 (its constants for RMSNorm)
AxisMap whole_copies_map(std::int64_t source, std::int64_t result);

/// How attention heads grow: query heads only ever sit beside a copy of their own key-value head.
struct HeadMaps {
  AxisMap query;      ///< over heads
  AxisMap key_value;  ///< over key-value heads
};

struct HeadCounts {
  std::int64_t query = 0;
  std::int64_t key_value = 0;
  std::int64_t group() const { return query / key_value; }
};

/// Key-value head k' copies k' mod K. The slots of all copies of k, in order, hold its r query heads
/// circularly, so that every query head is met when floor(K'/K) * (H'/K') >= r.
/// @paper AquilaMoE arXiv:2408.06567 (grouped heads; equal numbers of groups)
HeadMaps head_maps(const HeadCounts& source, const HeadCounts& result);
/// The condition of head_maps.
bool can_grow_heads(const HeadCounts& source, const HeadCounts& result);

/// Every index of `map` becomes `width` neighbouring ones: from heads to rows of a projection.
AxisMap in_blocks(const AxisMap& map, std::int64_t width);

}  // namespace moe::growth
