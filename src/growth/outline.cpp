#include "growth/outline.h"

#include "base/error.h"
#include "base/format.h"
#include "interop/model_rules.h"

namespace moe::growth {
namespace {

StageOutline outline_of(const PlannedStage& planned, const ModelConfig& source) {
  const std::unique_ptr<Stage> stage = planned.options->make();
  StageOutline outlined{.name = planned.name, .method = stage->method(), .config = stage->grow(source)};
  outlined.keeps_function = stage->keeps_function(source);
  outlined.depth_map = stage->depth_map(source);
  const std::vector<std::string> broken = interop::broken_rules(outlined.config);
  if (!broken.empty()) {
    throw ConfigError(format("{}: would make a model that is not valid: {}", planned.name,
                             fmt::join(broken, "; ")));
  }
  count_parameters(outlined.config);  // throws when a tensor is too large to be indexed
  return outlined;
}

}  // namespace

void rethrow_in_stage(std::size_t index) {
  try {
    throw;
  } catch (const ConfigError& error) {
    throw ConfigError(format("stages[{}].{}", index, error.what()));
  } catch (const ShapeError& error) {
    throw ConfigError(format("stages[{}]: {}", index, error.what()));
  }
}

std::vector<std::unique_ptr<Stage>> make_stages(const Plan& plan) {
  std::vector<std::unique_ptr<Stage>> made;
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    made.push_back(in_stage(i, [&] { return plan.stages[i].options->make(); }));
  }
  return made;
}

std::vector<StageOutline> outline(const Plan& plan, const ModelConfig& source) {
  std::vector<StageOutline> outlines;
  ModelConfig config = source;
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    outlines.push_back(in_stage(i, [&] { return outline_of(plan.stages[i], config); }));
    config = outlines.back().config;
  }
  return outlines;
}

}  // namespace moe::growth
