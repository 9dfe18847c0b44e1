/// Turns a serial model into this rank's part of a parallel one.
#pragma once

#include "mesh/process_mesh.h"
#include "model/model.h"

namespace moe::parallel {

/// Places every parameter and lets each axis replace the parts of the model it is about. Call after building, before
/// materialising; `mesh` must outlive the model.
/// @invariant parameters hold the same global values as before; only Placement -> Slice changes
void apply(Model& model, const mesh::ProcessMesh& mesh);

}  // namespace moe::parallel
