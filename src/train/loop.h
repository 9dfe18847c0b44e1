/// The training loop: step, evaluate, tell, keep.
#pragma once

#include <atomic>
#include <functional>
#include <optional>

#include "checkpoint/checkpoint_config.h"
#include "checkpoint/writer.h"
#include "metrics/meters.h"
#include "metrics/profile.h"
#include "metrics/sink_set.h"
#include "train/evaluate.h"
#include "train/persistence.h"
#include "train/step.h"
#include "train/training_config.h"

namespace moe::train {

/// All that the loop works with; wired by run/.
struct LoopContext {
  TrainState* state = nullptr;
  data::Loader* loader = nullptr;
  const data::HeldOutLoader* held_out = nullptr;  ///< null: nothing to evaluate on
  std::int64_t total_steps = 0;
  EvalConfig eval;
  checkpoint::CheckpointConfig checkpoint;
  checkpoint::WriteOptions write;      ///< empty folder: nothing is saved
  CheckpointContext checkpoint_context;
  metrics::SinkSet* sinks = nullptr;   ///< empty on ranks other than 0
  metrics::Trace* trace = nullptr;
  metrics::Profile* profile = nullptr;  ///< null: nobody asks where the time goes
  double flops_per_token = 0.0;
  double roof_flops = 0.0;             ///< GEMM FLOP/s of all ranks together; 0: unknown
  const std::atomic<bool>* stop = nullptr;  ///< set by a signal on any rank
};

enum class LoopEnd { Finished, Stopped };

struct LoopResult {
  LoopEnd end = LoopEnd::Finished;
  double training_seconds = 0.0;  ///< without evaluation and saving
  std::optional<Evaluation> last_evaluation;
};

/// Runs from state.step to total_steps, or until some rank was asked to stop (then the state is saved first).
/// @throws what run_step, evaluate and the checkpoint writer throw
LoopResult run_loop(LoopContext& context);

}  // namespace moe::train
