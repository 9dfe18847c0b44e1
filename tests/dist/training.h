/// One training problem, run on any layout of ranks, and all that can be compared afterwards.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "optim/optimizer.h"
#include "train/step.h"

namespace moe::testing {

/// What is trained, however it is spread.
struct Problem {
  ModelConfig model;
  optim::OptimizerConfig optimizer;
  double gradient_clip = 0.5;
  DType dtype = DType::F32;
  std::uint64_t seed = 1;
  bool recompute = false;
  parallel::ReducerOptions reducer;
  std::int64_t steps = 3;
  std::int64_t readers = 1;        ///< data ranks of the parallel run
  std::int64_t micro_batches = 1;  ///< of each reader, in a step
  std::int64_t micro_batch = 2;    ///< @unit sequences
  std::int64_t sequence_length = 8;

  std::int64_t global_batch() const { return readers * micro_batches * micro_batch; }
};

/// Three layers (one dense), grouped queries, 8 experts, 2 chosen, a shared expert; every loss has
/// weight.
Problem tiny_problem();

/// Tensors by name, global shapes, row-major.
using Values = std::map<std::string, std::vector<double>>;

struct StepOutcome {
  train::StepResult result;
  Values gradients;                               ///< summed and gathered, before clipping
  std::vector<std::vector<std::int64_t>> routed;  ///< per sparse layer and expert
  std::vector<std::int64_t> dropped;              ///< per sparse layer
};

struct Outcome {
  std::vector<StepOutcome> steps;
  Values weights;  ///< after the last step
  /// The smallest distance between two probabilities whose order decided anything (on one rank
  /// only).
  double narrowest_gap = 1.0;
};

/// One rank's part of a training run.
class Trainer {
 public:
  /// `expert` of the `world`'s ranks share the experts; every rank reads its own sequences. A world
  /// of one rank reads all of them, in the same micro-batches and order.
  Trainer(const Problem& problem, comm::Group& world, int expert);
  ~Trainer();

  train::TrainState& state() { return *state_; }
  /// The next step's batches of this rank.
  data::StepBatches next_batches();
  /// @comm all ranks
  StepOutcome step(const data::StepBatches& batches);
  StepOutcome step() { return step(next_batches()); }
  /// Gathers by slice; fails the test if two ranks that hold the same element differ by one bit.
  /// @comm all ranks
  Values gather_weights();
  Values gather_gradients();
  Values gather_moments();
  /// Starts reading the data of a seed where a restored state stands.
  void seek(std::uint64_t seed);

 private:
  Values gather(const std::vector<std::pair<std::string, Tensor>>& parts);

  Problem problem_;
  std::unique_ptr<mesh::ProcessMesh> mesh_;
  std::unique_ptr<train::TrainState> state_;
  std::unique_ptr<data::Loader> loader_;
  metrics::Trace trace_;
};

/// Scores tie: every token chooses experts 0 and 1.
void silence_routers(Trainer& trainer);

/// All steps on this layout. @comm all ranks of `world`
Outcome run_parallel(const Problem& problem, comm::Group& world, int expert);

/// All steps on one rank: the same micro-batches, in the order of data::BatchLayout. For the
/// `global` balance loss the counts of micro-batch m are those of micro-batch m of every reader.
Outcome run_serial(const Problem& problem);

/// Changes the seed until no order of experts hangs on rounding, and runs serially.
/// @throws InternalError if no seed will do
Outcome run_serial_with_clear_routing(Problem& problem);

/// EXPECTs everything equal within tolerance.h.
void expect_equal(const Problem& problem, const Outcome& actual, const Outcome& expected);
void expect_equal(const Problem& problem, const StepOutcome& actual, const StepOutcome& expected);
void expect_equal(const Problem& problem, const Values& actual, const Values& expected);
/// EXPECTs every bit equal.
void expect_same_bits(const Outcome& actual, const Outcome& expected);

}  // namespace moe::testing
