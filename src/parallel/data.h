/// The data axis: every rank reads its own sequences.
#pragma once

#include "mesh/process_mesh.h"
#include "model/model.h"

namespace moe::parallel {

/// Lets global balance losses count over all data ranks. Gradients are the GradReducer's business.
void apply_data(Model& model, const mesh::ProcessMesh& mesh);

}  // namespace moe::parallel
