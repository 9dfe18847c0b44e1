/// Refusals of a stage's options.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace moe::growth {

/// "sparsify.granularity: must divide num_experts (8), got 3; possible: 1, 2, 4, 8". An empty
/// `possible` is left out.
/// @throws ConfigError
[[noreturn]] void refuse_option(const std::string& option, const std::string& problem,
                                const std::string& possible);

/// "1, 2, 4, 8": what divides all of `numbers` (positive).
std::string common_divisors(const std::vector<std::int64_t>& numbers);

}  // namespace moe::growth
