/// How a damaged token shard is refused.
#pragma once

#include <cstdint>

#include "base/error.h"
#include "base/file.h"
#include "base/format.h"

namespace moe::data {

/// @throws DataError(path, byte offset, what it holds, expected, found)
template <class Expected, class Found>
[[noreturn]] void refuse_shard(const Path& path, std::int64_t offset, const char* what,
                               const Expected& expected, const Found& found) {
  throw DataError(
      format("{}: byte {}: {}: expected {}, found {}", path.string(), offset, what, expected, found));
}

}  // namespace moe::data
