#include "kernels/moe/admission.h"

#include <algorithm>
#include <bit>
#include <tuple>

#include "kernels/common/scratch.h"

namespace moe::kernels {
namespace {

struct Candidate {
  std::int64_t expert;
  std::uint64_t rank;  // smaller is better
  std::int64_t route;
  friend bool operator<(const Candidate& a, const Candidate& b) {
    return std::tie(a.expert, a.rank, a.route) < std::tie(b.expert, b.rank, b.route);
  }
};

/// Integers in the reverse order of numbers, NaN after all of them.
std::uint64_t rank_of(double weight) {
  if (weight != weight) return ~std::uint64_t{0};
  constexpr std::uint64_t kSign = std::uint64_t{1} << 63;
  const auto bits = std::bit_cast<std::uint64_t>(weight + 0.0);  // -0 counts as 0
  const std::uint64_t rising = (bits & kSign) != 0 ? ~bits : bits | kSign;
  return ~rising;
}

template <class C>
void admit(std::int32_t* expert, const C* weight, std::int64_t routes, std::int64_t capacity) {
  const Scratch scratch(routes * static_cast<std::int64_t>(sizeof(Candidate)));
  auto* candidate = scratch.as<Candidate>();
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < routes; ++i) {
    if (expert[i] >= 0) candidate[count++] = {expert[i], rank_of(weight[i]), i};
  }
  std::sort(candidate, candidate + count);
  std::int64_t taken = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    if (i > 0 && candidate[i].expert != candidate[i - 1].expert) taken = 0;
    if (taken++ >= capacity) expert[candidate[i].route] = -1;
  }
}

}  // namespace

void admit_by_weight(std::int32_t* expert, const float* weight, std::int64_t routes,
                     std::int64_t capacity) {
  admit(expert, weight, routes, capacity);
}

void admit_by_weight(std::int32_t* expert, const double* weight, std::int64_t routes,
                     std::int64_t capacity) {
  admit(expert, weight, routes, capacity);
}

}  // namespace moe::kernels
