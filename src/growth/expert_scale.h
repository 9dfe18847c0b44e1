/// By how much the matrices of an expert are multiplied, so that a sum of experts is the dense layer.
///
/// A token takes K of N experts, which are N/G replicas of G shards. With renormalised weights the sum
/// over the chosen is 1/G of the dense output, without it about K/(N G): the scale is
///     S = G          (norm_topk_prob)
///     S = N G / K    (probabilities of a uniform router; He's E G^2 / T with E = N/G, T = K)
/// @paper He 2024, arXiv:2410.07524
#pragma once

#include <cstdint>
#include <string>

#include "model/model_config.h"

namespace moe::growth {

struct ExpertScale {
  double gate = 1.0;
  double up = 1.0;
  double down = 1.0;
};

/// S of the formula above; G the shards of a replica.
double output_scale(const ModelConfig& sparse, std::int64_t granularity);

/// Multiplies the expert's output by exactly `scale`. Gated units are linear in up and down, so the
/// scale is shared: up a, down scale/a, with a the power of two next to its square root (then both are
/// exact in every dtype whenever `scale` is a power of two). Squared ReLU is of degree 2 in up: a and
/// scale/a^2. Other units: down alone.
ExpertScale exact_scale(double scale, const ModelConfig& config);

/// The published form: the cube root on gate, up and down of gated units and squared ReLU, else the
/// square root on up and down. Exact for plain squared ReLU only: SiLU and GELU are not homogeneous.
ExpertScale root_scale(double scale, const ModelConfig& config);

/// `method` is "exact" or "root"; `exactly` multiplies the down projection besides.
ExpertScale expert_scale(const std::string& method, double scale, double exactly,
                         const ModelConfig& config);

/// True if `root_scale` multiplies the output by `scale` after all.
bool root_scale_is_exact(double scale, const ModelConfig& config);

}  // namespace moe::growth
