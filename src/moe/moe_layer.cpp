#include "moe/moe_layer.h"

#include <algorithm>
#include <cmath>

#include "ops/arithmetic.h"
#include "ops/top_k_router.h"

namespace moe {

std::int64_t expert_capacity(std::int64_t tokens, std::int64_t choices, std::int64_t experts,
                             double factor) {
  const double share =
      static_cast<double>(tokens) * static_cast<double>(choices) / static_cast<double>(experts);
  return static_cast<std::int64_t>(std::ceil(share * factor));
}

namespace {

std::unique_ptr<nn::Mlp> make_shared(const MoeLayerSpec& spec) {
  if (spec.shared_hidden == 0) return nullptr;
  return std::make_unique<nn::Mlp>(
      nn::MlpSpec{.name = spec.name + ".shared",
                  .width = spec.experts.width,
                  .hidden = spec.shared_hidden,
                  .activation = spec.experts.activation,
                  .gated = spec.experts.gated,
                  .deviation = spec.experts.deviation,
                  .output_deviation = spec.experts.output_deviation});
}

std::unique_ptr<nn::Linear> make_shared_gate(const MoeLayerSpec& spec) {
  if (spec.shared_hidden == 0 || !spec.shared_gated) return nullptr;
  return std::make_unique<nn::Linear>(nn::LinearSpec{.name = spec.name + ".shared_gate",
                                                     .weight = {1, spec.experts.width},
                                                     .kind = ParameterKind::Mlp,
                                                     .deviation = spec.experts.deviation});
}

}  // namespace

MoeLayer::MoeLayer(const MoeLayerSpec& spec)
    : spec_(spec),
      router_(make_router(spec.router)),
      experts_(spec.experts),
      shared_(make_shared(spec)),
      shared_gate_(make_shared_gate(spec)) {
  adopt(*router_);
  adopt(experts_);
  if (shared_) adopt(*shared_);
  if (shared_gate_) adopt(*shared_gate_);
}

void MoeLayer::limit(Router::Output& routed, const nn::ForwardContext& context) const {
  const auto& factor = context.training() ? spec_.capacity_factor : spec_.eval_capacity_factor;
  if (!factor) return;
  const Tensor& chosen = routed.routing.expert_TK;
  const std::int64_t experts = spec_.experts.experts;
  const Tensor kept = ops::limit_capacity(
      chosen, routed.routing.weight_TK.value(),
      {.experts = experts,
       .capacity = expert_capacity(context.real_tokens, chosen.dim(1), experts, *factor),
       .by_weight = spec_.drop_by_weight});
  routed.routing.expert_TK = kept;
  routed.term.kept_TK = kept;
}

Variable MoeLayer::shared_output(const Variable& x_TD) {
  Variable y = shared_->forward(x_TD);
  return shared_gate_ ? ops::sigmoid_gate(shared_gate_->forward(x_TD), y) : y;
}

MoeLayer::Output MoeLayer::forward(const Variable& x_TD, const nn::ForwardContext& context) {
  Router::Output routed = router_->route(x_TD, context);
  routed.term.layer = spec_.layer;
  limit(routed, context);
  const auto out = dispatcher_->start_dispatch(x_TD, routed.routing);
  const Variable shared_TD = shared_ ? shared_output(x_TD) : Variable();
  const Variable rows_RD = experts_.forward(dispatcher_->finish_dispatch(out));
  const auto home = dispatcher_->start_combine(rows_RD, out);
  Variable y_TD = dispatcher_->finish_combine(home);
  if (shared_) y_TD = ops::add(y_TD, shared_TD);
  return {y_TD, routed.term};
}

}  // namespace moe
