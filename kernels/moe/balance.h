/// The parts of balance losses that touch [T, E] scores.
#pragma once

#include "device/stream.h"
#include "tensor/view.h"

namespace moe::kernels {

/// out[0] = sum over t with mask[t] != 0, e of coefficient[group[t], e] * probability[t, e], in f64.
/// @shape probability [T, E] f32 (f64); coefficient [G, E] f64; group [T] i32 or absent (all 0); mask [T] u8 or
///   absent (all 1); out [1] f64
/// @det yes
struct WeightedScoreSum {
  View probability;
  View coefficient;
  View group;
  View mask;
  View out;
};
void weighted_score_sum(Stream& stream, const WeightedScoreSum& args);

/// dprobability[t, e] = dout[0] * coefficient[group[t], e] * mask[t]. @shape dout [1] f64
struct WeightedScoreSumBackward {
  View coefficient;
  View group;
  View mask;
  View dout;
  View dprobability;
};
void weighted_score_sum_backward(Stream& stream, const WeightedScoreSumBackward& args);

/// count[g, e] += number of routes of group g's unmasked tokens that chose e. @shape expert [T, K] i32 (-1 is
///   skipped); count [G, E] i64
struct CountRoutes {
  View expert;
  View group;
  View mask;
  View count;
};
void count_routes(Stream& stream, const CountRoutes& args);

/// out[0] = sum over t with mask[t] != 0 of x[t]^2, in f64. @shape x [T] f32 (f64); mask [T] u8 or absent; out [1] f64
struct MaskedSquareSum {
  View x;
  View mask;
  View out;
};
void masked_square_sum(Stream& stream, const MaskedSquareSum& args);

/// dx[t] = 2 x[t] dout[0] mask[t]. @shape dx as x; dout [1] f64
struct MaskedSquareSumBackward {
  View x;
  View mask;
  View dout;
  View dx;
};
void masked_square_sum_backward(Stream& stream, const MaskedSquareSumBackward& args);

}  // namespace moe::kernels
