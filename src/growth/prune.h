/// MoE -> MoE without its least important experts (REAP): in every layer those with the smallest
///     S_e = mean over the tokens routed to e of p_e(x) ||E_e(x)||, p summing to 1 over the K chosen
/// go, with their router rows; an expert that no token reached has S_e = 0. Ties keep the lower id.
/// The others, and their order, stay as they are.
/// @paper REAP, arXiv:2510.13999
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "growth/calibration.h"
#include "growth/stage.h"

namespace moe::growth {

struct PruneConfig {
  std::string method = "reap";
  std::int64_t num_experts = 4;
  std::optional<std::int64_t> num_experts_per_tok;  ///< none: as it is, but at most num_experts
  CalibrationConfig calibration;

  void fields(config::Fields& f);
};

std::unique_ptr<Stage> make_prune(const PruneConfig& config);
std::unique_ptr<StageOptions> prune_options();

/// S_e of each expert.
std::vector<double> reap_saliency(const LayerMeasure& measure);
/// The `count` experts of the largest saliency, in increasing order.
std::vector<std::int64_t> most_salient(const std::vector<double>& saliency, std::int64_t count);

}  // namespace moe::growth
