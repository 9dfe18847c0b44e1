/// What a plan makes of a model, from shapes alone: sizes, arithmetic, where layers come from.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "growth/plan.h"
#include "model/counts.h"

namespace moe::growth {

struct StageOutline {
  std::string name;    ///< "widen"
  std::string method;  ///< "lemon"
  ModelConfig config;  ///< after the stage
  bool keeps_function = false;
  std::optional<std::vector<std::int64_t>> depth_map;
};

/// The made stages of a plan, in order.
std::vector<std::unique_ptr<Stage>> make_stages(const Plan& plan);

/// @throws ConfigError "stages[1].deepen.num_hidden_layers: ..." for what the model cannot take
std::vector<StageOutline> outline(const Plan& plan, const ModelConfig& source);

/// Calls `body`; its complaints about options then name the stage's place in the plan.
template <class Body>
auto in_stage(std::size_t index, Body&& body);
[[noreturn]] void rethrow_in_stage(std::size_t index);

// ---- implementation of the template ----

template <class Body>
auto in_stage(std::size_t index, Body&& body) {
  try {
    return body();
  } catch (...) {
    rethrow_in_stage(index);
  }
}

}  // namespace moe::growth
