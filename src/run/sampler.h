/// Draws the next token from logits.
#pragma once

#include <cstdint>
#include <span>

namespace moe::run {

struct SamplingOptions {
  double temperature = 1.0;  ///< 0: always the most likely token, ties to the lower id
  std::int64_t top_k = 0;    ///< keep this many of the most likely tokens; 0: all
  double top_p = 1.0;        ///< then keep the fewest tokens whose probability reaches this
  std::uint64_t seed = 1;
};

/// A pure function of logits, options and position: the same on every rank and every machine with the same logits.
/// Filters in the usual order: temperature, top-k, top-p.
/// @shape logits [V]; -inf is allowed, as long as one is finite
/// @throws NumericalError when a logit is NaN or +inf, or none is finite
std::int32_t sample(std::span<const float> logits, const SamplingOptions& options,
                    std::int64_t position);

}  // namespace moe::run
