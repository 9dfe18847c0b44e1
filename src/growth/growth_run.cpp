#include "growth/growth_run.h"

#include "base/format.h"
#include "growth/compare.h"
#include "growth/expert_cosine.h"
#include "growth/outline.h"
#include "model/counts.h"

namespace moe::growth {
namespace {

StageContext context_of(const Plan& plan, std::size_t index) {
  return {.seed = static_cast<std::uint64_t>(plan.seed), .index = static_cast<int>(index)};
}

/// f64 weights are evaluated as such, all others in f32.
DType dtype_of_evaluation(const ModelSource& model) {
  const checkpoint::TensorInfo* embedding = model.weights->find("embedding.weight");
  return embedding != nullptr && embedding->dtype == DType::F64 ? DType::F64 : DType::F32;
}

Evaluated evaluated(const ModelSource& model, std::span<const std::int32_t> tokens) {
  return evaluate(BlockwiseModel(model, dtype_of_evaluation(model)), tokens);
}

StageReport report_of(const PlannedStage& planned, const Stage& stage, const ModelConfig& before,
                      const ModelSource& after) {
  const ParameterCount count = count_parameters(after.config);
  StageReport report{.stage = planned.name, .method = stage.method()};
  report.parameters_total = count.total;
  report.parameters_active = count.active;
  report.keeps_function = stage.keeps_function(before);
  report.expert_cosine = mean_expert_cosine(after);
  return report;
}

}  // namespace

GrownModel run_plan(const Plan& plan, const ModelSource& source, const GrowthRunOptions& options) {
  const std::vector<std::unique_ptr<Stage>> stages = make_stages(plan);
  const VerifyConfig verify = plan.verified_on();
  const auto tell = [&](const std::string& what, std::size_t done) {
    if (options.progress) options.progress(what, done, 2 * stages.size() + 1);
  };
  GrownModel grown{.model = source};
  tell("evaluate the source", 0);
  Evaluated before = evaluated(source, options.tokens);
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const std::string what =
        format("stage {} of {}: {} ({})", i + 1, stages.size(), plan.stages[i].name, stages[i]->method());
    tell(what, 2 * i + 1);
    StageContext context = context_of(plan, i);
    context.probe = options.probe;
    ModelSource next = in_stage(i, [&] {
      return ModelSource{stages[i]->grow(grown.model.config), stages[i]->apply(grown.model, context)};
    });
    StageReport report = report_of(plan.stages[i], *stages[i], grown.model.config, next);
    tell(what + ", evaluated", 2 * i + 2);
    Evaluated after = evaluated(next, options.tokens);
    const Comparison comparison = compare(before, after, options.tokens);
    report.loss_before = comparison.loss_before;
    report.loss_after = comparison.loss_after;
    report.max_logit_difference = comparison.max_difference;
    report.max_logit = comparison.max_logit;
    grown.reports.push_back(report);
    grown.model = std::move(next);
    if (verify.require_exact && !(comparison.max_difference <= *verify.require_exact)) {
      grown.failed = i;
      break;
    }
    before = std::move(after);
  }
  tell("done", 2 * stages.size() + 1);
  return grown;
}

ModelSource carry_moments(const Plan& plan, const ModelSource& source, const ModelSource& moments,
                          const TokenProbe* probe) {
  const std::vector<std::unique_ptr<Stage>> stages = make_stages(plan);
  ModelSource model = source;
  ModelSource carried = moments;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    StageContext context = context_of(plan, i);
    context.probe = probe;
    in_stage(i, [&] {
      const ModelConfig config = stages[i]->grow(model.config);
      StageContext of_moments = context;
      of_moments.moments_of = &model;
      carried = {config, stages[i]->apply(carried, of_moments)};
      model = {config, stages[i]->apply(model, context)};
    });
  }
  return carried;
}

}  // namespace moe::growth
