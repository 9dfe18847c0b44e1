/// Private to this folder: the checksum of HDF5's Fletcher32 filter, several times as fast as there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace moe::checkpoint {

/// The bytes that the filter puts behind a chunk.
inline constexpr std::size_t kFletcherBytes = 4;

/// @invariant what HDF5 computes over the same bytes (big-endian words of 16 bits, an odd byte last)
/// @cost about 0.1 ns a byte
std::uint32_t fletcher32(std::span<const std::byte> bytes);

}  // namespace moe::checkpoint
