/// What the experts of a model do on some text: the measurements behind expand, merge and prune.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "growth/stage.h"

namespace moe::growth {

/// Of one MoE layer; sums over calibration tokens.
struct LayerMeasure {
  std::vector<double> routed;        ///< [E] tokens that each expert was given
  std::vector<double> contribution;  ///< [E] sum over them of p_e ||E_e(x)||, p_e as it is combined
  std::vector<double> saliency;      ///< [E] sum over them of p_e ||E_e(x)||, p_e summing to 1 over the K chosen
  std::vector<double> logit_products;  ///< [E, E] sum over all tokens of z_a z_b, z the router's logits
  // If asked, over all tokens, routed to e or not:
  std::vector<std::vector<double>> mean_output;  ///< [E][D] mean of E_e(x)
  std::vector<double> output_norm;               ///< [E] root of the mean of ||E_e(x)||^2
};

struct CalibrationNeeds {
  bool mean_output = false;  ///< runs every expert on every token
};

/// By layer. Runs the model block by block (blockwise_model.h) in f32, in the current DeviceContext or
/// one of its own.
/// @det yes
std::map<std::int64_t, LayerMeasure> calibrate(const ModelSource& source,
                                               const std::vector<std::int32_t>& tokens,
                                               const CalibrationNeeds& needs = {});

/// The text's tokens by the context's probe; without a text and without a probe, uniform draws from
/// the vocabulary.
/// @throws ConfigError if there is a text and no probe
std::vector<std::int32_t> calibration_tokens(const CalibrationConfig& calibration,
                                             const ModelConfig& model,
                                             const StageContext& context);

}  // namespace moe::growth
