/// From the loader's batch to what the model reads.
#pragma once

#include "data/sample.h"
#include "model/model.h"

namespace moe::train {

/// Rows without a sample (ids below 0) are padding: masked out of routing.
/// @shape [B*S] tensors, see ModelInput
ModelInput to_model_input(const data::Batch& batch);

}  // namespace moe::train
