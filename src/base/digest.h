/// Digests that detect damage (not tampering): XXH3, 128 and 64 bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "base/file.h"

namespace moe {

/// 32 lower-case hexadecimal digits of XXH3-128.
std::string digest_128(std::span<const std::byte> bytes);
/// The same over a file, streamed in bounded memory; `progress` is told the bytes read so far.
/// @throws DataError(path, reason)
std::string digest_file_128(const Path& path,
                            const std::function<void(std::uint64_t)>& progress = {});
/// XXH3-64 with a seed.
std::uint64_t digest_64(std::span<const std::byte> bytes, std::uint64_t seed = 0);

}  // namespace moe
