#include "moe/softmax_top_k_router.h"

#include <span>

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

template <class T>
void leave_turns(std::span<T> handicap_TE, std::int64_t experts, std::int64_t choices) {
  const std::size_t routes = handicap_TE.size() / static_cast<std::size_t>(experts) * static_cast<std::size_t>(choices);
  for (std::size_t route = 0; route < routes; ++route) {
    const std::size_t token = route / static_cast<std::size_t>(choices);
    handicap_TE[token * static_cast<std::size_t>(experts) + route % static_cast<std::size_t>(experts)] = 0;
  }
}

/// Added to logits: leaves token t the experts K t, K t + 1, ... (modulo E).
Tensor turns(const Tensor& logits_TE, std::int64_t choices) {
  constexpr double kNever = -1e30;
  Tensor handicap_TE = Tensor::full(logits_TE.shape(), logits_TE.dtype(), kNever);
  if (logits_TE.dtype() == DType::F64) {
    leave_turns(handicap_TE.span<double>(), logits_TE.dim(1), choices);
  } else {
    leave_turns(handicap_TE.span<float>(), logits_TE.dim(1), choices);
  }
  return handicap_TE;
}

class SoftmaxTopKRouter : public Router {
 public:
  SoftmaxTopKRouter(const RouterSpec& spec, bool in_turn)
      : spec_(spec),
        in_turn_(in_turn),
        weight_(&declare({spec.name + ".weight", Shape{spec.experts, spec.width},
                          ParameterKind::Router, Placement(),
                          nn::Initializer::normal(spec.deviation)})) {}

  Output route(const Variable& x_TD, const nn::ForwardContext& context) override {
    Variable logits_TE = ops::linear(ops::cast(x_TD, weight_->value().dtype()), *weight_);
    if (in_turn_) logits_TE = ops::add(logits_TE, Variable(turns(logits_TE.value(), spec_.choices)));
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
  bool in_turn_;
  nn::Parameter* weight_;
};

}  // namespace

std::unique_ptr<Router> make_softmax_top_k_router(const RouterSpec& spec) {
  return std::make_unique<SoftmaxTopKRouter>(spec, false);
}

std::unique_ptr<Router> make_round_robin_router(const RouterSpec& spec) {
  return std::make_unique<SoftmaxTopKRouter>(spec, true);
}

}  // namespace moe
