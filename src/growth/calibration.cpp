#include "growth/calibration.h"

#include <cmath>
#include <limits>
#include <thread>

#include "base/check.h"
#include "base/random.h"
#include "growth/blockwise_model.h"
#include "growth/refuse.h"
#include "ops/activation.h"
#include "ops/grouped_linear.h"

namespace moe::growth {
namespace {

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

double norm_of(const float* row, std::int64_t width) {
  double squares = 0;
  for (std::int64_t d = 0; d < width; ++d) squares += static_cast<double>(row[d]) * row[d];
  return std::sqrt(squares);
}

/// Routes in token order meet their rows: those of an expert keep the order of tokens.
void add_routes(const LayerRun& run, LayerMeasure& measure) {
  const std::int64_t choices = run.term.kept_TK.dim(1);
  const auto expert = run.term.kept_TK.span<std::int32_t>();
  const auto weight = run.weight_TK.span<float>();
  const auto offset = run.offset_E1.span<std::int32_t>();
  std::vector<std::int32_t> next(offset.begin(), offset.end());
  const std::int64_t width = run.rows_RD.dim(1);
  const auto rows = run.rows_RD.span<float>();
  for (std::int64_t t = 0; t < run.term.kept_TK.dim(0); ++t) {
    double total = 0;
    for (std::int64_t k = 0; k < choices; ++k) total += weight[at(t * choices + k)];
    for (std::int64_t k = 0; k < choices; ++k) {
      const std::int32_t e = expert[at(t * choices + k)];
      if (e < 0) continue;
      const std::int64_t row = next[at(e)]++;
      const double norm = norm_of(&rows[at(row * width)], width);
      measure.routed[at(e)] += 1;
      measure.contribution[at(e)] += norm;
      if (total > 0) measure.saliency[at(e)] += norm / total;
    }
  }
}

void add_logits(const LayerRun& run, LayerMeasure& measure) {
  const std::int64_t experts = run.term.probability_TE.dim(1);
  const auto probability = run.term.probability_TE.value().span<float>();
  const auto logsumexp = run.term.logsumexp_T.value().span<float>();
  std::vector<double> logit(at(experts));
  for (std::size_t t = 0; t < logsumexp.size(); ++t) {
    for (std::int64_t e = 0; e < experts; ++e) {
      const float p = probability[t * at(experts) + at(e)];
      logit[at(e)] = std::log(static_cast<double>(
                         std::max(p, std::numeric_limits<float>::min()))) +
                     static_cast<double>(logsumexp[t]);
    }
    for (std::int64_t a = 0; a < experts; ++a) {
      for (std::int64_t b = 0; b < experts; ++b) {
        measure.logit_products[at(a * experts + b)] += logit[at(a)] * logit[at(b)];
      }
    }
  }
}

nn::Parameter& parameter_named(Block& block, const char* end) {
  nn::Parameter* found = nullptr;
  block.for_each_parameter([&](nn::Parameter& parameter) {
    if (parameter.name().ends_with(end)) found = &parameter;
  });
  MOE_CHECK(found != nullptr);
  return *found;
}

/// Adds the sum of every expert's outputs over all tokens.
void add_outputs(const LayerRun& run, LayerMeasure& measure) {
  nn::Parameter& gate_up = parameter_named(*run.block, ".experts.gate_up.weight");
  nn::Parameter& down = parameter_named(*run.block, ".experts.down.weight");
  const ExpertsSpec& spec = run.block->sparse()->spec().experts;
  const auto tokens = static_cast<std::int32_t>(run.x_TD.dim(0));
  for (std::int64_t e = 0; e < spec.experts; ++e) {
    std::vector<std::int32_t> offset(at(spec.experts + 1), 0);
    std::fill(offset.begin() + e + 1, offset.end(), tokens);
    const Tensor offset_E1 = Tensor::from(std::span<const std::int32_t>(offset), {spec.experts + 1});
    const Variable hidden_TF = ops::activation(
        ops::grouped_linear(Variable(run.x_TD), nullptr, offset_E1, gate_up), Variable(),
        spec.activation, spec.gated);
    const Tensor y_TD = ops::grouped_linear(hidden_TF, nullptr, offset_E1, down).value();
    const auto rows = y_TD.span<float>();
    std::vector<double>& sum = measure.mean_output[at(e)];
    for (std::size_t i = 0; i < rows.size(); ++i) {
      sum[i % sum.size()] += rows[i];
      measure.output_norm[at(e)] += static_cast<double>(rows[i]) * rows[i];
    }
  }
}

LayerMeasure empty_measure(const ModelConfig& config, const CalibrationNeeds& needs) {
  const std::size_t experts = at(config.num_experts);
  LayerMeasure measure;
  for (auto* values : {&measure.routed, &measure.contribution, &measure.saliency}) {
    values->assign(experts, 0.0);
  }
  measure.logit_products.assign(experts * experts, 0.0);
  if (needs.mean_output) {
    measure.mean_output.assign(experts, std::vector<double>(at(config.hidden_size), 0.0));
    measure.output_norm.assign(experts, 0.0);
  }
  return measure;
}

std::map<std::int64_t, LayerMeasure> run(const ModelSource& source,
                                         const std::vector<std::int32_t>& tokens,
                                         const CalibrationNeeds& needs) {
  std::map<std::int64_t, LayerMeasure> measures;
  BlockwiseModel(source).observe(tokens, [&](const LayerRun& layer) {
    auto [entry, is_new] = measures.try_emplace(layer.layer);
    if (is_new) entry->second = empty_measure(source.config, needs);
    add_routes(layer, entry->second);
    add_logits(layer, entry->second);
    if (needs.mean_output) add_outputs(layer, entry->second);
  });
  const auto count = static_cast<double>(tokens.size());
  for (auto& [layer, measure] : measures) {
    for (auto& output : measure.mean_output) {
      for (double& value : output) value /= count;
    }
    for (double& norm : measure.output_norm) norm = std::sqrt(norm / count);
  }
  return measures;
}

}  // namespace

std::map<std::int64_t, LayerMeasure> calibrate(const ModelSource& source,
                                               const std::vector<std::int32_t>& tokens,
                                               const CalibrationNeeds& needs) {
  if (find_context() != nullptr) return run(source, tokens, needs);
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  DeviceContext context(static_cast<int>(cores), detect_cpu_isa());
  const ContextScope scope(context);
  return run(source, tokens, needs);
}

std::vector<std::int32_t> calibration_tokens(const CalibrationConfig& calibration,
                                             const ModelConfig& model,
                                             const StageContext& context) {
  if (context.probe != nullptr) return context.probe->tokens(calibration);
  if (!calibration.text.empty()) {
    refuse_option("calibration.text",
                  "the source has no tokenizer to read a text with, got " + calibration.text,
                  "leave it out for random tokens");
  }
  const Random random(context.seed, "calibration probe");
  std::vector<std::int32_t> tokens(at(calibration.tokens));
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] =
        static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(model.vocab_size), i));
  }
  return tokens;
}

}  // namespace moe::growth
