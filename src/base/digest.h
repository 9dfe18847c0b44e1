/// Digests that detect damage (not tampering): XXH3, 128 and 64 bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/file.h"

namespace moe {

/// 32 lower-case hexadecimal digits of XXH3-128.
std::string digest_128(std::span<const std::byte> bytes);
/// The same over a file, streamed. @throws DataError(path, reason)
std::string digest_file_128(const Path& path);
/// XXH3-64 with a seed.
std::uint64_t digest_64(std::span<const std::byte> bytes, std::uint64_t seed = 0);

}  // namespace moe
