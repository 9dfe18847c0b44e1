#include "growth/axis_map.h"

#include <algorithm>

#include "base/check.h"

namespace moe::growth {

namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

}  // namespace

bool AxisMap::is_identity() const {
  return size() == source && std::ranges::none_of(fresh, [](bool f) { return f; }) &&
         std::ranges::is_sorted(from);
}

bool AxisMap::is_even() const {
  const bool placed = std::ranges::find(from, kNowhere) == from.end();
  return placed && std::ranges::all_of(copies, [&](std::int64_t c) { return c == copies[0]; });
}

AxisMap make_axis_map(std::int64_t source, std::vector<std::int64_t> from) {
  AxisMap map;
  map.source = source;
  map.copies.assign(at(source), 0);
  map.fresh.reserve(from.size());
  for (const std::int64_t index : from) {
    map.fresh.push_back(index == kNowhere || map.copies[at(index)] > 0);
    if (index != kNowhere) ++map.copies[at(index)];
  }
  MOE_CHECK(std::ranges::find(map.copies, 0) == map.copies.end());
  map.from = std::move(from);
  return map;
}

AxisMap circular_map(std::int64_t source, std::int64_t result) {
  std::vector<std::int64_t> from(at(result));
  for (std::int64_t i = 0; i < result; ++i) from[at(i)] = i % source;
  return make_axis_map(source, std::move(from));
}

AxisMap whole_copies_map(std::int64_t source, std::int64_t result) {
  std::vector<std::int64_t> from(at(result), kNowhere);
  const std::int64_t copied = result / source * source;
  for (std::int64_t i = 0; i < copied; ++i) from[at(i)] = i % source;
  return make_axis_map(source, std::move(from));
}

bool can_grow_heads(const HeadCounts& source, const HeadCounts& result) {
  return result.key_value / source.key_value * result.group() >= source.group();
}

HeadMaps head_maps(const HeadCounts& source, const HeadCounts& result) {
  MOE_CHECK(can_grow_heads(source, result));
  std::vector<std::int64_t> query(at(result.query));
  std::vector<std::int64_t> key_value(at(result.key_value));
  for (std::int64_t k = 0; k < result.key_value; ++k) {
    const std::int64_t original = k % source.key_value;
    key_value[at(k)] = original;
    for (std::int64_t j = 0; j < result.group(); ++j) {
      const std::int64_t slot = k / source.key_value * result.group() + j;
      query[at(k * result.group() + j)] = original * source.group() + slot % source.group();
    }
  }
  return {make_axis_map(source.query, std::move(query)),
          make_axis_map(source.key_value, std::move(key_value))};
}

AxisMap in_blocks(const AxisMap& map, std::int64_t width) {
  std::vector<std::int64_t> from;
  from.reserve(map.from.size() * at(width));
  for (const std::int64_t index : map.from) {
    for (std::int64_t i = 0; i < width; ++i) {
      from.push_back(index == kNowhere ? kNowhere : index * width + i);
    }
  }
  return make_axis_map(map.source * width, std::move(from));
}

}  // namespace moe::growth
