/// From a TensorSource into a model.
#pragma once

#include "checkpoint/tensor_source.h"
#include "model/model.h"

namespace moe::interop {

/// Fills every parameter: this rank's slice of the master, then the value it computes with.
/// The parameters are allocated or materialised already; each rank reads what it holds and no more.
/// @throws CheckpointError listing every missing, unexpected or reshaped tensor, before anything is written
void load_parameters(Model& model, const checkpoint::TensorSource& source);

}  // namespace moe::interop
