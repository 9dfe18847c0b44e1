#include "interop/weight_scan.h"

#include <algorithm>
#include <cmath>

namespace moe::interop {
namespace {

constexpr std::int64_t kWindowElements = std::int64_t{1} << 20;

}  // namespace

std::int64_t count_non_finite(const checkpoint::TensorSource& source, const std::string& name) {
  const checkpoint::TensorInfo& info = source.info(name);
  if (!checkpoint::is_floating(info.dtype)) return 0;
  std::vector<double> window;
  std::int64_t count = 0;
  for (std::int64_t at = 0; at < info.shape.numel(); at += kWindowElements) {
    Slice part = whole(info.shape);
    part.flat_begin = at;
    part.flat_end = std::min(info.shape.numel(), at + kWindowElements);
    window.resize(static_cast<std::size_t>(part.numel()));
    source.read(name, part, checkpoint::flat_view(window.data(), DType::F64, part.numel()));
    count += std::ranges::count_if(window, [](double value) { return !std::isfinite(value); });
  }
  return count;
}

}  // namespace moe::interop
