/// Chooses experts for every token and the weight of each choice.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "moe/routing.h"
#include "nn/forward_context.h"
#include "nn/module.h"

namespace moe {

struct RouterSpec {
  std::string type = "softmax_topk";
  std::string name;  ///< parameters are <name>.weight, ...
  std::int64_t width = 0;
  std::int64_t experts = 0;
  std::int64_t choices = 0;
  bool renormalize = true;
  double deviation = 0.02;
};

/// @invariant matmul, scores and selection in f32 whatever the compute dtype; ties go to the lower expert id;
///   padding tokens (mask 0) get no route
/// @det yes
class Router : public nn::Module {
 public:
  struct Output {
    Routing routing;
    BalanceTerm term;
  };
  /// @shape x [T, D] f32 or bf16 (f64)
  /// @throws ShapeError if x is not as wide as the router
  virtual Output route(const Variable& x_TD, const nn::ForwardContext& context) = 0;
};

/// @throws ConfigError naming the known routers
std::unique_ptr<Router> make_router(const RouterSpec& spec);
std::vector<std::string> router_names();

}  // namespace moe
