/// Cutting slices, and moving them from one tensor's box into another's.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "checkpoint/tensor_source.h"
#include "tensor/slice.h"

namespace moe::growth {

/// Elements that are computed at a time.
inline constexpr std::int64_t kChunkElements = std::int64_t{1} << 20;

/// Calls `visit(part, offset)` for consecutive parts of at most `elements` elements; `offset` counts
/// from the slice's first element.
template <class Visit>
void for_each_chunk(const Slice& slice, std::int64_t elements, Visit&& visit) {
  for (std::int64_t at = slice.flat_begin; at < slice.flat_end; at += elements) {
    Slice part = slice;
    part.flat_begin = at;
    part.flat_end = std::min(slice.flat_end, at + elements);
    visit(part, at - slice.flat_begin);
  }
}

/// What a slice holds of one index of the leading dims.
struct SlicePart {
  std::array<std::int64_t, kMaxRank> index{};  ///< of the leading dims
  Slice inner;                                 ///< over the other dims
  std::int64_t offset = 0;                     ///< of its first element from the slice's first
};

/// The parts in order; they tile the slice.
std::vector<SlicePart> parts_of(const Slice& slice, int leading);

/// A slice over [extent, ...] that is `inner` at `index`.
Slice at_index(const Slice& inner, std::int64_t index, std::int64_t extent);

/// The same box, `offset` further along `dim`, in a tensor of `extent` there.
Slice shifted(Slice slice, int dim, std::int64_t offset, std::int64_t extent);

/// Rows [begin, begin + count) of a matrix [rows, width], whole or from a column on.
Slice matrix_box(const Shape& shape, std::int64_t row, std::int64_t rows, std::int64_t column,
                 std::int64_t columns);

/// Reads and multiplies: exact where `factor` is a power of two, else rounded once.
void read_scaled(const checkpoint::TensorSource& source, const std::string& name,
                 const Slice& slice, double factor, const View& out);

}  // namespace moe::growth
