/// Which elements two slices of one tensor share: the arithmetic of resharding.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "tensor/slice.h"

namespace moe::checkpoint {

/// The runs of a slice one after another: contiguous in the global tensor and in the box.
/// @invariant runs come in rising global order
class RunCursor {
 public:
  explicit RunCursor(const Slice& slice)
      : slice_(slice), run_(detail::run_length(slice)), box_(slice.flat_begin) {
    locate();
  }
  bool done() const { return box_ >= slice_.flat_end; }
  std::int64_t global() const { return global_; }  ///< flat index in the global tensor
  std::int64_t box() const { return box_; }        ///< flat index in the box
  std::int64_t count() const { return count_; }
  void advance(std::int64_t count) {
    box_ += count;
    global_ += count;
    count_ -= count;
    if (count_ == 0) locate();
  }

 private:
  void locate() {
    if (done()) return;
    global_ = global_index(slice_, box_);
    count_ = std::min(slice_.flat_end, (box_ / run_ + 1) * run_) - box_;
  }
  const Slice& slice_;
  std::int64_t run_;
  std::int64_t box_;
  std::int64_t global_ = 0;
  std::int64_t count_ = 0;
};

/// False when no element can be shared; true promises nothing. @cost constant
bool may_overlap(const Slice& a, const Slice& b);

/// Calls visit(a_flat, b_flat, count) for every run that both slices hold; flat indices count
/// within each slice's box and both rise. @shape equal global shapes  @cost the runs of both slices
template <class Visit>
void for_each_overlap(const Slice& a, const Slice& b, Visit&& visit) {
  if (!may_overlap(a, b)) return;
  RunCursor left(a);
  RunCursor right(b);
  while (!left.done() && !right.done()) {
    if (left.global() < right.global()) {
      left.advance(std::min(left.count(), right.global() - left.global()));
    } else if (right.global() < left.global()) {
      right.advance(std::min(right.count(), left.global() - right.global()));
    } else {
      const std::int64_t count = std::min(left.count(), right.count());
      visit(left.box(), right.box(), count);
      left.advance(count);
      right.advance(count);
    }
  }
}

/// Checks that `slices` hold every element of a tensor exactly once; empty ones are allowed.
/// @returns "" if so, else which element is held twice or by nobody, and by which slices
std::string tiling_fault(const Shape& global, const std::vector<Slice>& slices);

}  // namespace moe::checkpoint
