#include "growth/refuse.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/format.h"

namespace moe::growth {

void refuse_option(const std::string& option, const std::string& problem,
                   const std::string& possible) {
  throw ConfigError(format("{}: {}{}", option, problem,
                           possible.empty() ? "" : format("; possible: {}", possible)));
}

std::string common_divisors(const std::vector<std::int64_t>& numbers) {
  std::int64_t shared = 0;
  for (const std::int64_t number : numbers) shared = std::gcd(shared, number);
  std::vector<std::int64_t> divisors;
  for (std::int64_t d = 1; d * d <= shared; ++d) {
    if (shared % d != 0) continue;
    divisors.push_back(d);
    if (d != shared / d) divisors.push_back(shared / d);
  }
  std::ranges::sort(divisors);
  return format("{}", fmt::join(divisors, ", "));
}

}  // namespace moe::growth
