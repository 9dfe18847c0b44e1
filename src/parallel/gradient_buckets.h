/// How gradients are laid out in buckets, by arithmetic alone.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace moe::parallel {

/// A parameter's window: its bytes, and who sums it. Windows of one kind may share a bucket.
struct GradientWindow {
  std::int64_t kind = 0;
  std::int64_t bytes = 0;
};

/// Elements of a window: it begins on a cache line, so does the next.
std::int64_t padded_elements(std::int64_t elements);

/// The bucket of each window. Windows are taken in reverse, as backward about writes them; one bucket is open per kind and
/// takes windows up to `limit_bytes`, or one larger window alone. Buckets are numbered as they are opened.
std::vector<std::size_t> cut_into_buckets(std::span<const GradientWindow> windows, std::int64_t limit_bytes);

}  // namespace moe::parallel
