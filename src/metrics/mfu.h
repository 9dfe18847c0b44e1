/// Model FLOP utilisation: how much of the machine's measured GEMM speed the model's own arithmetic uses.
#pragma once

namespace moe::metrics {

/// Model FLOP/s over the roof. Recomputed work does not count: only what the mathematics needs does,
/// with the experts that a token visits. 0 where the roof is unknown (<= 0).
/// @unit flops_per_token: forward and backward of one token; roof: FLOP/s of all ranks together,
///   measured with the run's own GEMM, dtype and threads
inline double model_flop_utilisation(double flops_per_token, double tokens_per_second,
                                     double roof_flops_per_second) {
  if (!(roof_flops_per_second > 0)) return 0;
  return flops_per_token * tokens_per_second / roof_flops_per_second;
}

}  // namespace moe::metrics
