/// The optimizer's state of a checkpoint, grown with its model.
#pragma once

#include <optional>

#include "growth/growth_run.h"
#include "run/open_model.h"
#include "run/write_model.h"

namespace moe::run {

/// What `optimizer_state` asks of the source and the stages. @throws ConfigError, CheckpointError
void require_carriable(const growth::Plan& plan, const StoredModel& source);

/// reset: nothing. copy: moments of the parameters that kept name, shape and every bit; zero for the others.
/// tile: moments go where the weights went, unscaled (the step of Adam does not depend on their scale); what has no
/// source starts at zero. Step and data cursor go on, so `moe-train checkpoint.resume=OUTPUT` continues the schedule.
std::optional<CarriedTraining> carry_training(const growth::Plan& plan, const StoredModel& source,
                                              const growth::ModelSource& grown,
                                              const growth::TokenProbe& probe);

}  // namespace moe::run
