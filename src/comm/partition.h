/// How collectives cut buffers: equal chunks per rank, each moved in bounded segments.
#pragma once

#include <algorithm>
#include <cstdint>

#include "tensor/dtype.h"

namespace moe::comm {

/// A range of elements.
struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t size() const { return end - begin; }
};

/// The part of [0, count) that belongs to rank `index` of `parts`; the last ones may be shorter or
/// empty.
inline Range chunk_of(std::int64_t count, int parts, int index) {
  const std::int64_t chunk = (count + parts - 1) / parts;
  return {std::min(count, chunk * index), std::min(count, chunk * (index + 1))};
}

/// Elements moved per peer at a time, so that working memory stays small whatever the buffer.
inline std::int64_t segment_elements(DType dtype, int ranks) {
  constexpr std::int64_t kScratchBytes = std::int64_t{8} << 20;
  constexpr std::int64_t kLeastBytes = std::int64_t{64} << 10;
  return std::max(kLeastBytes, kScratchBytes / ranks) / size_of(dtype);
}

/// Elements [offset, offset + length) of a chunk, cut off at the chunk's end.
inline Range segment_of(const Range& chunk, std::int64_t offset, std::int64_t length) {
  const std::int64_t begin = std::min(chunk.end, chunk.begin + offset);
  return {begin, std::min(chunk.end, begin + length)};
}

}  // namespace moe::comm
