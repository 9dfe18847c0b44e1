/// What moe-upcycle tells: the outline of a plan, the table of its stages, growth.json.
#pragma once

#include <string>
#include <vector>

#include "growth/growth_run.h"
#include "growth/outline.h"

namespace moe::run {

/// Sizes, arithmetic and depth maps of --dry-run.
struct OutlineReport {
  std::string source;
  ModelConfig config;  ///< of the source
  std::vector<growth::StageOutline> stages;
};
std::string outline_text(const OutlineReport& report);
std::string outline_json(const OutlineReport& report);

/// How a model was grown, beside the figures of its stages.
struct GrowthOrigin {
  std::string source;
  std::string source_digest;  ///< XXH3-128
  std::int64_t seed = 1;
  std::string plan;           ///< resolved YAML
  std::string verified_on;    ///< the text, or "random tokens"
  std::int64_t tokens = 0;
};

std::string growth_table(const std::vector<growth::StageReport>& reports);
/// `{"stages": [{stage, method, loss_before, loss_after, max_logit_difference, parameters_total,
/// parameters_active, expert_cosine}], ...}`; expert_cosine is null for dense models.
std::string growth_json(const GrowthOrigin& origin, const std::vector<growth::StageReport>& reports);
/// What a checkpoint keeps as its state "growth".
std::string growth_state(const GrowthOrigin& origin);

}  // namespace moe::run
