#include "parity/comparison.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/format.h"

namespace moe::parity {

void Comparison::compare(const std::string& what, std::span<const double> ours,
                         std::span<const double> theirs) {
  ++count_;
  if (ours.size() != theirs.size()) {
    return fail(format("{}: {} elements, theirs has {}", what, ours.size(), theirs.size()));
  }
  double largest = 0.0;
  double difference = 0.0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const double apart = std::abs(ours[i] - theirs[i]);
    // NaN on either side must not slip through a comparison.
    difference = std::isfinite(apart) ? std::max(difference, apart)
                                      : std::numeric_limits<double>::infinity();
    largest = std::max(largest, std::abs(theirs[i]));
  }
  const double allowed = kParityTolerance * largest;
  if (!std::isfinite(difference) || difference > allowed) {
    fail(format("{}: differs by {:.3g}, allowed is {:.3g} (largest element {:.3g})", what,
                difference, allowed, largest));
  }
  const double share = difference == 0.0 ? 0.0 : difference / allowed;
  if (share > worst_) {
    worst_ = share;
    worst_in_ = what;
  }
}

}  // namespace moe::parity
