#include "parallel/gradient_buckets.h"

#include <map>

namespace moe::parallel {

std::int64_t padded_elements(std::int64_t elements) {
  constexpr std::int64_t kAlignment = 16;
  return (elements + kAlignment - 1) / kAlignment * kAlignment;
}

std::vector<std::size_t> cut_into_buckets(std::span<const GradientWindow> windows, std::int64_t limit_bytes) {
  struct Open {
    std::size_t bucket;
    std::int64_t bytes;
  };
  std::map<std::int64_t, Open> open;
  std::vector<std::size_t> bucket_of(windows.size());
  std::size_t buckets = 0;
  for (std::size_t i = windows.size(); i-- > 0;) {
    const auto found = open.find(windows[i].kind);
    const bool fits = found != open.end() && found->second.bytes + windows[i].bytes <= limit_bytes;
    if (!fits) open[windows[i].kind] = {buckets++, 0};
    Open& bucket = open.at(windows[i].kind);
    bucket_of[i] = bucket.bucket;
    bucket.bytes += windows[i].bytes;
  }
  return bucket_of;
}

}  // namespace moe::parallel
