#include "moe/experts.h"

#include <utility>

#include "ops/activated_linear.h"
#include "ops/grouped_linear.h"

namespace moe {

Experts::Experts(const ExpertsSpec& spec)
    : spec_(spec),
      gate_up_(&declare({spec.name + ".gate_up.weight",
                         Shape{spec.experts, spec.gated ? 2 : 1, spec.hidden, spec.width},
                         ParameterKind::Expert,
                         Placement().split(0, Role::Expert).split(2, Role::Hidden),
                         nn::Initializer::normal(spec.deviation)})),
      down_(&declare({spec.name + ".down.weight", Shape{spec.experts, spec.width, spec.hidden},
                      ParameterKind::Expert,
                      Placement().split(0, Role::Expert).split(2, Role::Hidden),
                      nn::Initializer::normal(spec.output_deviation)})) {}

Variable Experts::forward(const Dispatched& dispatched) {
  Variable gate_up_RF =
      ops::grouped_linear(dispatched.source_SD, &dispatched.map, dispatched.offset_e1, *gate_up_);
  // The combine weight is folded in before the down projection, so results need not be saved.
  return ops::activated_grouped_linear(
      {std::move(gate_up_RF), dispatched.weight_R, spec_.activation, spec_.gated},
      dispatched.offset_e1, *down_);
}

}  // namespace moe
