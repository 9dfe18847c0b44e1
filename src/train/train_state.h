/// Everything a run consists of between two steps; what a checkpoint keeps.
#pragma once

#include <cstdint>
#include <memory>

#include "data/loader.h"
#include "mesh/process_mesh.h"
#include "metrics/trace.h"
#include "model/model.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "parallel/grad_reducer.h"

namespace moe::train {

/// @invariant weights, moments, step, cursor and seeds determine all later steps, bit for bit
struct TrainState {
  mesh::ProcessMesh* mesh = nullptr;
  std::unique_ptr<Model> model;
  std::unique_ptr<parallel::GradReducer> reducer;
  std::unique_ptr<optim::Optimizer> optimizer;
  std::unique_ptr<optim::Schedule> schedule;
  double gradient_clip = 0.0;  ///< 0: none

  std::int64_t step = 0;    ///< updates done
  std::int64_t tokens = 0;  ///< tokens seen by them, over all ranks
  data::Cursor cursor;      ///< samples of the steps done
};

}  // namespace moe::train
