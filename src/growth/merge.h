/// MoE -> MoE of fewer experts, by averaging groups of them.
///     frequency   groups around the most used experts (clustering.h: group_by_frequency)
///     clustering  groups of experts with like outputs (clustering.h: group_by_outputs)
///     W_group = sum f_e P_e W_e, f_e shares of use, P_e aligning e's neurons with the first member's
/// Our config has one router row an expert: a group's row is the mean of its members' rows with the
/// same weights f_e. (MC-SMoE keeps all rows and points them to one tensor.) So experts that are
/// copies with equal rows are found again to the bit; num_experts_per_tok should then shrink by the
/// same factor as num_experts. Where rows differ, a group's logit is the mean of its members' logits.
/// The budget is num_experts in every layer (MC-SMoE: a global one, which a config cannot express).
/// @paper MC-SMoE, arXiv:2310.01334; HC-SMoE, arXiv:2410.08589
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "growth/stage.h"

namespace moe::growth {

struct MergeConfig {
  std::string method = "frequency";  ///< frequency, clustering
  std::int64_t num_experts = 4;
  std::optional<std::int64_t> num_experts_per_tok;  ///< none: as it is, but at most num_experts
  bool align = true;  ///< find the best order of neurons first
  CalibrationConfig calibration;

  void fields(config::Fields& f);
};

std::unique_ptr<Stage> make_merge(const MergeConfig& config);
std::unique_ptr<StageOptions> merge_options();

}  // namespace moe::growth
