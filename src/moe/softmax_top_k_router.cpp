#include "moe/softmax_top_k_router.h"

#include "ops/arithmetic.h"
#include "ops/linear.h"
#include "ops/top_k_router.h"

namespace moe {
namespace {

/// Padding tokens take no expert.
Tensor without_padding(const Tensor& expert_TK, const Tensor& mask_T) {
  if (!mask_T.defined()) return expert_TK;
  Tensor kept = expert_TK.clone();
  const auto mask = mask_T.span<std::uint8_t>();
  auto experts = kept.span<std::int32_t>();
  const auto choices = static_cast<std::size_t>(kept.dim(1));
  for (std::size_t i = 0; i < experts.size(); ++i) {
    if (mask[i / choices] == 0) experts[i] = -1;
  }
  return kept;
}

class SoftmaxTopKRouter : public Router {
 public:
  explicit SoftmaxTopKRouter(const RouterSpec& spec)
      : spec_(spec),
        weight_(&declare({spec.name + ".weight", Shape{spec.experts, spec.width},
                          ParameterKind::Router, Placement(),
                          nn::Initializer::normal(spec.deviation)})) {}

  Output route(const Variable& x_TD, const nn::ForwardContext& context) override {
    const Variable logits_TE =
        ops::linear(ops::cast(x_TD, weight_->value().dtype()), *weight_);
    ops::TopK top = ops::top_k_router(logits_TE, spec_.choices, spec_.renormalize);
    const Tensor chosen = without_padding(top.expert, context.mask_T);
    Output output;
    output.routing = {chosen, top.weight, spec_.experts};
    output.term.probability_TE = top.probability;
    output.term.logsumexp_T = top.logsumexp;
    output.term.chosen_TK = chosen;
    output.term.kept_TK = chosen;
    return output;
  }

 private:
  RouterSpec spec_;
  nn::Parameter* weight_;
};

}  // namespace

std::unique_ptr<Router> make_softmax_top_k_router(const RouterSpec& spec) {
  return std::make_unique<SoftmaxTopKRouter>(spec);
}

}  // namespace moe
