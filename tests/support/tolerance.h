/// How far a result may lie from its exact value: derived from dtype and reduction length, never
/// guessed.
#pragma once

#include <cmath>
#include <cstdint>

#include "tensor/dtype.h"

namespace moe::testing {

/// Relative error allowed after a reduction over `reduction_length` terms whose rounding errors are
/// independent: c * eps * sqrt(n), relative to the largest partial result. bf16 is summed in f32
/// and rounded once.
inline double tolerance(DType dtype, std::int64_t reduction_length = 1) {
  constexpr double kSafety = 8.0;
  const DType compute = dtype == DType::F64 ? DType::F64 : DType::F32;
  const double length = reduction_length < 1 ? 1.0 : static_cast<double>(reduction_length);
  const double rounding = dtype == DType::BF16 || dtype == DType::F16 ? epsilon_of(dtype) : 0.0;
  return kSafety * epsilon_of(compute) * std::sqrt(length) + rounding;
}

/// What the programs promise: an evaluation gives the same loss on any number of ranks, to this relative difference.
inline constexpr double kSameEvaluation = 1e-6;

/// What exact growth promises: largest logit difference over largest logit, in f64 and f32.
inline constexpr double kExactGrowthF64 = 1e-12;
inline constexpr double kExactGrowthF32 = 1e-5;
/// In bf16: the rounding of weights that sum to one.
inline constexpr double kExactGrowthBF16 = 0x1p-8;
/// Losses of a model and its exact growth, in nats.
inline constexpr double kExactGrowthLoss = 1e-4;

}  // namespace moe::testing
