#include "growth/slices.h"

#include "base/check.h"
#include "tensor/convert.h"

namespace moe::growth {

std::vector<SlicePart> parts_of(const Slice& slice, int leading) {
  const int rank = slice.global.rank();
  MOE_CHECK_LE(leading, rank);
  const auto inner_dims = [&](const Shape& shape) {
    return Shape(shape.dims().subspan(static_cast<std::size_t>(leading)));
  };
  const std::int64_t per_part = inner_dims(slice.size).numel();
  std::vector<SlicePart> parts;
  for (std::int64_t at = slice.flat_begin; at < slice.flat_end;) {
    std::int64_t place = at / per_part;
    SlicePart part;
    part.inner.global = inner_dims(slice.global);
    part.inner.size = inner_dims(slice.size);
    for (int d = leading; d < rank; ++d) {
      part.inner.begin[static_cast<std::size_t>(d - leading)] =
          slice.begin[static_cast<std::size_t>(d)];
    }
    part.inner.flat_begin = at - place * per_part;
    part.inner.flat_end = std::min(slice.flat_end - place * per_part, per_part);
    part.offset = at - slice.flat_begin;
    at += part.inner.numel();
    for (int d = leading - 1; d >= 0; --d) {
      const auto dim = static_cast<std::size_t>(d);
      part.index[dim] = slice.begin[dim] + place % slice.size[d];
      place /= slice.size[d];
    }
    parts.push_back(part);
  }
  return parts;
}

Slice at_index(const Slice& inner, std::int64_t index, std::int64_t extent) {
  Slice slice;
  std::array<std::int64_t, kMaxRank> global{extent};
  std::array<std::int64_t, kMaxRank> size{1};
  slice.begin[0] = index;
  const auto rank = static_cast<std::size_t>(inner.global.rank());
  for (std::size_t d = 0; d < rank; ++d) {
    global[d + 1] = inner.global[static_cast<int>(d)];
    size[d + 1] = inner.size[static_cast<int>(d)];
    slice.begin[d + 1] = inner.begin[d];
  }
  slice.global = Shape(std::span<const std::int64_t>(global.data(), rank + 1));
  slice.size = Shape(std::span<const std::int64_t>(size.data(), rank + 1));
  slice.flat_begin = inner.flat_begin;
  slice.flat_end = inner.flat_end;
  return slice;
}

Slice shifted(Slice slice, int dim, std::int64_t offset, std::int64_t extent) {
  slice.begin[static_cast<std::size_t>(dim)] += offset;
  slice.global.set(dim, extent);
  return slice;
}

Slice matrix_box(const Shape& shape, std::int64_t row, std::int64_t rows, std::int64_t column,
                 std::int64_t columns) {
  Slice slice = whole(shape);
  slice.begin[0] = row;
  slice.begin[1] = column;
  slice.size = Shape{rows, columns};
  slice.flat_end = rows * columns;
  return slice;
}

void read_scaled(const checkpoint::TensorSource& source, const std::string& name,
                 const Slice& slice, double factor, const View& out) {
  if (factor == 1.0) return source.read(name, slice, out);
  std::vector<double> values;
  for_each_chunk(slice, kChunkElements, [&](const Slice& part, std::int64_t offset) {
    values.resize(static_cast<std::size_t>(part.numel()));
    const View scratch = checkpoint::flat_view(values.data(), DType::F64, part.numel());
    source.read(name, part, scratch);
    for (double& value : values) value *= factor;
    convert_elements(scratch, checkpoint::flat_part(out, offset, part.numel()));
  });
}

}  // namespace moe::growth
