#include "growth/expert_scale.h"

#include <cmath>

namespace moe::growth {
namespace {

double power_of_two_near(double value) { return std::exp2(std::floor(std::log2(value) + 0.5)); }

bool is_relu2(const ModelConfig& config) {
  return activation_of(config.hidden_act) == ops::ActivationKind::Relu2;
}

}  // namespace

double output_scale(const ModelConfig& sparse, std::int64_t granularity) {
  const auto shards = static_cast<double>(granularity);
  if (sparse.norm_topk_prob) return shards;
  return static_cast<double>(sparse.num_experts) * shards /
         static_cast<double>(sparse.num_experts_per_tok);
}

ExpertScale exact_scale(double scale, const ModelConfig& config) {
  if (config.mlp_gated) {
    const double a = power_of_two_near(std::sqrt(scale));
    return {1.0, a, scale / a};
  }
  if (is_relu2(config)) {
    const double a = power_of_two_near(std::cbrt(scale));
    return {1.0, a, scale / (a * a)};
  }
  return {1.0, 1.0, scale};
}

ExpertScale root_scale(double scale, const ModelConfig& config) {
  if (config.mlp_gated || is_relu2(config)) {
    const double root = std::cbrt(scale);
    return {root, root, root};
  }
  const double root = std::sqrt(scale);
  return {root, root, root};
}

ExpertScale expert_scale(const std::string& method, double scale, double exactly,
                         const ModelConfig& config) {
  if (method == "exact") return exact_scale(scale * exactly, config);
  ExpertScale result = root_scale(scale, config);
  result.down *= exactly;
  return result;
}

bool root_scale_is_exact(double scale, const ModelConfig& config) {
  return scale == 1.0 || (!config.mlp_gated && is_relu2(config));
}

}  // namespace moe::growth
