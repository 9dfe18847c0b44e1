#include "checkpoint/overlap.h"

#include <tuple>

#include "base/format.h"

namespace moe::checkpoint {
namespace {

bool boxes_meet(const Slice& a, const Slice& b) {
  for (int dim = 0; dim < a.global.rank(); ++dim) {
    const auto at = static_cast<std::size_t>(dim);
    if (a.begin[at] >= b.begin[at] + b.size[dim]) return false;
    if (b.begin[at] >= a.begin[at] + a.size[dim]) return false;
  }
  return true;
}

auto box_key(const Slice& slice) {
  std::array<std::int64_t, kMaxRank> size{};
  std::ranges::copy(slice.size.dims(), size.begin());
  return std::tuple(slice.begin, size);
}

/// Slices of one box, as laid out by flat sharding, fill it without gap or overlap.
bool fill_box(const std::vector<const Slice*>& slices, std::size_t first, std::size_t last) {
  std::int64_t at = 0;
  for (std::size_t i = first; i < last; ++i) {
    if (slices[i]->flat_begin != at) return false;
    at = slices[i]->flat_end;
  }
  return at == slices[first]->size.numel();
}

/// The usual layouts, without looking at single runs: full boxes that are disjoint and add up.
bool tiles_by_boxes(const Shape& global, std::vector<const Slice*> slices) {
  std::ranges::sort(slices, {},
                    [](const Slice* s) { return std::tuple(box_key(*s), s->flat_begin); });
  std::vector<const Slice*> boxes;
  std::int64_t elements = 0;
  for (std::size_t first = 0; first < slices.size();) {
    std::size_t last = first + 1;
    while (last < slices.size() && box_key(*slices[last]) == box_key(*slices[first])) ++last;
    if (!fill_box(slices, first, last)) return false;
    boxes.push_back(slices[first]);
    elements += slices[first]->size.numel();
    first = last;
  }
  if (elements != global.numel()) return false;
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    for (std::size_t j = i + 1; j < boxes.size(); ++j) {
      if (boxes_meet(*boxes[i], *boxes[j])) return false;
    }
  }
  return true;
}

struct Run {
  std::int64_t begin;
  std::int64_t end;
  const Slice* owner;
};

/// Any layout: sorts all runs. Also finds the words for what is wrong.
std::string fault_by_runs(const Shape& global, const std::vector<const Slice*>& slices) {
  std::vector<Run> runs;
  for (const Slice* slice : slices) {
    for_each_run(*slice, [&](std::int64_t at, std::int64_t, std::int64_t count) {
      runs.push_back({at, at + count, slice});
    });
  }
  std::ranges::sort(runs, {}, &Run::begin);
  std::int64_t at = 0;
  const Run* previous = nullptr;
  for (const Run& run : runs) {
    if (run.begin > at) return format("element {} is in no slice", at);
    if (run.begin < at) {
      return format("element {} is in two slices: {} and {}", run.begin,
                    to_string(*previous->owner), to_string(*run.owner));
    }
    at = run.end;
    previous = &run;
  }
  return at == global.numel() ? "" : format("element {} is in no slice", at);
}

}  // namespace

bool may_overlap(const Slice& a, const Slice& b) {
  if (a.numel() == 0 || b.numel() == 0 || !boxes_meet(a, b)) return false;
  return global_index(a, a.flat_begin) <= global_index(b, b.flat_end - 1) &&
         global_index(b, b.flat_begin) <= global_index(a, a.flat_end - 1);
}

std::string tiling_fault(const Shape& global, const std::vector<Slice>& slices) {
  std::vector<const Slice*> held;
  for (const Slice& slice : slices) {
    if (slice.numel() > 0) held.push_back(&slice);
  }
  if (held.empty()) {
    return global.numel() == 0 ? "" : "none of its elements is in any slice";
  }
  if (tiles_by_boxes(global, held)) return "";
  return fault_by_runs(global, held);
}

}  // namespace moe::checkpoint
