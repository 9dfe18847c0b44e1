/// The expert axis: experts are spread over ranks, tokens travel to them.
/// @paper GShard, arXiv:2006.16668
#pragma once

#include "mesh/process_mesh.h"
#include "model/model.h"

namespace moe::parallel {

/// Gives every sparse layer a dispatcher over the ranks that exchange tokens.
void apply_expert(Model& model, const mesh::ProcessMesh& mesh);

}  // namespace moe::parallel
