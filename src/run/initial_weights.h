/// Starting a run from the weights of another model: `checkpoint.init_from`.
#pragma once

#include <functional>
#include <string>

#include "comm/group.h"
#include "model/model.h"
#include "run/open_model.h"

namespace moe::run {

class InitialWeights {
 public:
  /// Opens `config.checkpoint.init_from` on all ranks of `group` and compares shapes; `say` is told where
  /// the model section computes something else than the source did.
  /// @throws CheckpointError listing every missing, unexpected and reshaped tensor
  InitialWeights(const RunConfig& config, comm::Group& group,
                 const std::function<void(const std::string&)>& say);

  /// Fills the parameters; each rank reads the slices it holds.
  /// @throws CheckpointError naming tensor and file when a weight is NaN or infinite
  void fill(Model& model) const;

 private:
  StoredModel source_;
};

/// @throws CheckpointError with a hint for checkpoints that hold weights alone: they cannot be resumed
void require_training_state(const checkpoint::Checkpoint& checkpoint);

}  // namespace moe::run
