/// Which elements of a global tensor one rank holds: a box, and a flat range within that box. The one
/// arithmetic behind the reduction group, the optimizer's slice, the norm's owner and the checkpoint's
/// record.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "tensor/placement.h"
#include "tensor/shape.h"

namespace moe {

/// How many parts a role is cut into, and which part is meant.
struct RoleShare {
  std::int64_t parts = 1;
  std::int64_t index = 0;
};

/// Shares by role; roles not set are whole.
struct RoleShares {
  std::array<RoleShare, 5> of{};
  RoleShare& operator[](Role role) { return of[static_cast<std::size_t>(role)]; }
  const RoleShare& operator[](Role role) const { return of[static_cast<std::size_t>(role)]; }
};

/// @invariant begin[d] + size[d] <= global[d]; 0 <= flat_begin <= flat_end <= box elements
struct Slice {
  Shape global;
  std::array<std::int64_t, kMaxRank> begin{};  ///< first index of the box, per dim
  Shape size;                                  ///< extent of the box
  std::int64_t flat_begin = 0;                 ///< row-major range within the box
  std::int64_t flat_end = 0;

  std::int64_t numel() const { return flat_end - flat_begin; }
  bool covers_box() const { return flat_begin == 0 && flat_end == size.numel(); }
  friend bool operator==(const Slice&, const Slice&) = default;
};

/// The whole of a tensor.
Slice whole(const Shape& global);

/// The box a rank holds of a tensor placed by `placement`, all of it.
/// @throws ConfigError naming the tensor, the role, the size and the parts when it does not divide
Slice place(const std::string& name, const Shape& global, const Placement& placement,
            const RoleShares& shares);

/// Part `index` of `parts` of a slice's flat range: equal parts, rounded up to `alignment` elements, so
/// the last ones may be shorter or empty. @invariant the parts tile the range in order
Slice shard(const Slice& slice, std::int64_t parts, std::int64_t index, std::int64_t alignment = 1);

/// The global flat index of element `flat` (counted within the box).
std::int64_t global_index(const Slice& slice, std::int64_t flat);

/// Calls `visit(global_flat, box_flat, count)` for every maximal run of elements that is contiguous both
/// in the global tensor and in the slice's box, limited to the slice's flat range.
template <class Visit>
void for_each_run(const Slice& slice, Visit&& visit);

/// "[0:4, 0:2, 16:32, 0:64] of [8, 2, 32, 64], elements 0..512".
std::string to_string(const Slice& slice);

// ---- implementation of the template ----

namespace detail {
/// Elements of the box after which the global position jumps.
std::int64_t run_length(const Slice& slice);
}  // namespace detail

template <class Visit>
void for_each_run(const Slice& slice, Visit&& visit) {
  const std::int64_t run = detail::run_length(slice);
  for (std::int64_t at = slice.flat_begin; at < slice.flat_end;) {
    const std::int64_t stop = std::min(slice.flat_end, (at / run + 1) * run);
    visit(global_index(slice, at), at, stop - at);
    at = stop;
  }
}

}  // namespace moe
