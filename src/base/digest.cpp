#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/digest.h"
#include "base/format.h"

namespace moe {

std::string digest_128(std::span<const std::byte> bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return format("{:016x}{:016x}", hash.high64, hash.low64);
}

std::string digest_file_128(const Path& path) {
  const MappedFile file(path);
  return digest_128(file.bytes());
}

std::uint64_t digest_64(std::span<const std::byte> bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace moe
