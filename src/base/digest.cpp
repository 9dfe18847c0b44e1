#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/digest.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/format.h"

namespace moe {

namespace {

std::string to_hex(const XXH128_hash_t& hash) {
  return format("{:016x}{:016x}", hash.high64, hash.low64);
}

constexpr std::size_t kReadBytes = std::size_t{4} << 20;

}  // namespace

std::string digest_128(std::span<const std::byte> bytes) {
  return to_hex(XXH3_128bits(bytes.data(), bytes.size()));
}

// Read, not mapped: a file cut short or a failing disk must be an error, not a signal.
std::string digest_file_128(const Path& path, const std::function<void(std::uint64_t)>& progress) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"),
                                                             &std::fclose);
  if (!file) throw DataError(format("{}: cannot open: {}", path.string(), std::strerror(errno)));
  std::setvbuf(file.get(), nullptr, _IONBF, 0);
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(),
                                                                              &XXH3_freeState);
  XXH3_128bits_reset(state.get());
  std::vector<std::byte> buffer(kReadBytes);
  std::uint64_t total = 0;
  while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), file.get())) {
    XXH3_128bits_update(state.get(), buffer.data(), got);
    total += got;
    if (progress) progress(total);
  }
  if (std::ferror(file.get()) != 0) {
    throw DataError(format("{}: cannot read at byte {}: {}", path.string(), total,
                           std::strerror(errno)));
  }
  return to_hex(XXH3_128bits_digest(state.get()));
}

std::uint64_t digest_64(std::span<const std::byte> bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace moe
