/// Feeds one reader (a data-parallel rank) with its share of every step, ahead of time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/sample_source.h"

namespace moe::data {

/// Where a run stands in its data. It holds nothing about ranks, so it survives any change of them.
struct Cursor {
  std::int64_t samples_consumed = 0;  ///< global samples of all finished steps
};

/// How a global batch of G sequences is shared: reader i of N takes the contiguous samples
/// [i * G / N, (i + 1) * G / N) of it, cut into micro-batches in that order. So N readers see what one
/// reader accumulating N times as many micro-batches sees, in the same order.
struct BatchLayout {
  std::int64_t global_batch = 1;  ///< @unit sequences
  std::int64_t micro_batch = 1;   ///< @unit sequences
  std::int64_t reader = 0;
  std::int64_t readers = 1;

  /// @throws ConfigError unless readers * micro_batch divides global_batch
  void check() const;
  std::int64_t micro_batches() const { return global_batch / readers / micro_batch; }
  /// Global id of row `row` of micro-batch `micro` in the step that starts at `step_base`.
  std::int64_t sample(std::int64_t step_base, std::int64_t micro, std::int64_t row) const {
    return step_base + reader * (global_batch / readers) + micro * micro_batch + row;
  }
};

/// All that one reader computes in one step.
struct StepBatches {
  std::int64_t first_sample = 0;  ///< of the global batch
  std::vector<Batch> micro_batches;
  /// Targets that count, over this reader's micro-batches. Their sum over readers divides the loss.
  std::int64_t target_count = 0;
};

/// @thread one caller; reads ahead on a thread of its own
class Loader {
 public:
  struct Options {
    BatchLayout layout;
    std::int64_t sequence_length = 0;
    std::int64_t prefetch = 2;  ///< steps ahead; 0: read when asked
  };
  /// Continues at `cursor`. @throws ConfigError as BatchLayout::check
  Loader(std::shared_ptr<const SampleSource> source, const Options& options, Cursor cursor = {});
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// The next step's batches. @throws DataError that reading them met
  StepBatches next_step();

  /// The position after the last step that `next_step` returned; what was read ahead does not count.
  Cursor cursor() const { return cursor_; }

 private:
  struct Ahead;
  StepBatches read_step(std::int64_t first_sample) const;
  void run_ahead(std::int64_t first_sample);

  std::shared_ptr<const SampleSource> source_;
  Options options_;
  Cursor cursor_;
  std::unique_ptr<Ahead> ahead_;
};

/// Covers held-out text with batches: window w goes to one reader, once.
/// @invariant every reader has the same number of batches of the same shape; rows past the last window
///   hold ignored targets only
/// @thread any
class HeldOutLoader {
 public:
  /// Only `micro_batch`, `reader` and `readers` of the layout matter.
  HeldOutLoader(std::shared_ptr<const HeldOut> held_out, const BatchLayout& layout,
                std::int64_t sequence_length);
  std::int64_t batches() const { return batches_; }
  /// Batch `i` of this reader; sample ids are window numbers. @throws DataError
  Batch batch(std::int64_t i) const;
  const HeldOut& held_out() const { return *held_out_; }

 private:
  std::shared_ptr<const HeldOut> held_out_;
  BatchLayout layout_;
  std::int64_t sequence_length_;
  std::int64_t batches_;
};

}  // namespace moe::data
