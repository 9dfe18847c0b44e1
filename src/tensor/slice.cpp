#include "tensor/slice.h"

#include <algorithm>

#include "base/check.h"
#include "base/error.h"
#include "base/format.h"

namespace moe {

Slice whole(const Shape& global) {
  Slice slice;
  slice.global = global;
  slice.size = global;
  slice.flat_end = global.numel();
  return slice;
}

Slice place(const std::string& name, const Shape& global, const Placement& placement,
            const RoleShares& shares) {
  Slice slice = whole(global);
  for (int dim = 0; dim < global.rank(); ++dim) {
    const auto& role = placement.role_of_dim[static_cast<std::size_t>(dim)];
    if (!role) continue;
    const RoleShare& share = shares[*role];
    MOE_CHECK_GE(share.index, 0);
    MOE_CHECK_LT(share.index, share.parts);
    if (global[dim] % share.parts != 0) {
      throw ConfigError(format("{}: dim {} of {} ({}) cannot be cut into {} equal parts", name, dim,
                               to_string(global), to_string(*role), share.parts));
    }
    const std::int64_t extent = global[dim] / share.parts;
    slice.size.set(dim, extent);
    slice.begin[static_cast<std::size_t>(dim)] = extent * share.index;
  }
  slice.flat_end = slice.size.numel();
  return slice;
}

Slice shard(const Slice& slice, std::int64_t parts, std::int64_t index, std::int64_t alignment) {
  MOE_CHECK_GE(parts, 1);
  MOE_CHECK_GE(alignment, 1);
  const std::int64_t count = slice.numel();
  const std::int64_t per_part = ((count + parts - 1) / parts + alignment - 1) / alignment * alignment;
  Slice result = slice;
  result.flat_begin = slice.flat_begin + std::min(count, per_part * index);
  result.flat_end = slice.flat_begin + std::min(count, per_part * (index + 1));
  return result;
}

std::int64_t global_index(const Slice& slice, std::int64_t flat) {
  std::int64_t global = 0;
  std::int64_t stride = 1;
  for (int dim = slice.global.rank() - 1; dim >= 0; --dim) {
    const std::int64_t extent = slice.size[dim];
    global += (slice.begin[static_cast<std::size_t>(dim)] + flat % extent) * stride;
    flat /= extent;
    stride *= slice.global[dim];
  }
  return global;
}

namespace detail {

std::int64_t run_length(const Slice& slice) {
  std::int64_t run = 1;
  for (int dim = slice.global.rank() - 1; dim >= 0; --dim) {
    run *= slice.size[dim];
    if (slice.size[dim] != slice.global[dim]) break;
  }
  return std::max<std::int64_t>(run, 1);
}

}  // namespace detail

std::string to_string(const Slice& slice) {
  std::string box;
  for (int dim = 0; dim < slice.size.rank(); ++dim) {
    const std::int64_t begin = slice.begin[static_cast<std::size_t>(dim)];
    box += format("{}{}:{}", dim > 0 ? ", " : "", begin, begin + slice.size[dim]);
  }
  return format("[{}] of {}, elements {}..{}", box, to_string(slice.global), slice.flat_begin,
                slice.flat_end);
}

}  // namespace moe
