/// A mixture-of-experts layer: route, dispatch, experts, combine, and an optional shared expert meanwhile.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "moe/experts.h"
#include "moe/router.h"
#include "moe/token_dispatcher.h"
#include "nn/mlp.h"

namespace moe {

struct MoeLayerSpec {
  std::string name;
  std::int64_t layer = 0;
  RouterSpec router;
  ExpertsSpec experts;
  std::optional<double> capacity_factor;       ///< none = dropless
  std::optional<double> eval_capacity_factor;  ///< in evaluation; none = dropless
  bool drop_by_weight = false;                 ///< keep the largest weights rather than the earliest tokens
  std::int64_t shared_hidden = 0;              ///< width of the shared expert, 0 = none
  bool shared_gated = false;                   ///< Qwen2-MoE's sigmoid gate on the shared expert
};

/// Rows an expert takes from one rank's micro-batch of `tokens` tokens: ceil(tokens * K / E * factor).
std::int64_t expert_capacity(std::int64_t tokens, std::int64_t choices, std::int64_t experts,
                             double factor);

class MoeLayer : public nn::Module {
 public:
  explicit MoeLayer(const MoeLayerSpec& spec);

  struct Output {
    Variable y_TD;
    BalanceTerm term;
  };
  /// @shape x [T, D] -> [T, D]; dropped routes add nothing (the residual passes)
  /// @grad to x, router, experts, shared expert
  Output forward(const Variable& x_TD, const nn::ForwardContext& context);

  /// Replaces the local dispatcher (expert parallelism).
  void set_dispatcher(std::unique_ptr<TokenDispatcher> dispatcher) {
    dispatcher_ = std::move(dispatcher);
  }
  const MoeLayerSpec& spec() const { return spec_; }

 private:
  void limit(Router::Output& routed, const nn::ForwardContext& context) const;
  Variable shared_output(const Variable& x_TD);

  MoeLayerSpec spec_;
  std::unique_ptr<Router> router_;
  Experts experts_;
  std::unique_ptr<nn::Mlp> shared_;
  std::unique_ptr<nn::Linear> shared_gate_;
  std::unique_ptr<TokenDispatcher> dispatcher_ = make_local_dispatcher();
};

}  // namespace moe
