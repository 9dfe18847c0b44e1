/// Groups row numbers by the index each carries: what a scatter without atomics starts from.
#pragma once

#include <cstdint>

namespace moe::kernels {

/// Writes one key (index << 32 | row) per row with index >= 0 to `key`, sorted: by index, then by
/// row.
/// @shape index [rows]; key and spare [rows], both overwritten; the result stands in `key`
/// @return the number of keys, or -1 - r if index[r] is below -1 or not below `bound`
/// @cost O(rows) per 8 bits of `bound`
std::int64_t sort_rows(const std::int32_t* index, std::int64_t rows, std::int64_t bound,
                       std::uint64_t* key, std::uint64_t* spare);

}  // namespace moe::kernels
