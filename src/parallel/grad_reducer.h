/// Owns the gradient buffers, sums them over ranks while backward goes on, and names what this rank updates.
/// @paper bucketed overlap: Li 2020, arXiv:2006.15704
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "mesh/process_mesh.h"
#include "nn/parameter.h"
#include "optim/optimizer.h"

namespace moe::parallel {

struct ReducerOptions {
  std::int64_t bucket_bytes = std::int64_t{25} << 20;
  bool overlap = true;  ///< start a bucket's sum when its last gradient is written; else at the end of the step
};

/// Gradients are summed, never averaged: the loss is divided once, by counts of the whole step. Expert and dense
/// parameters differ only in the group their placement names.
/// A bucket's memory is taken at its first write and given up at the beginning of the next step, so that it serves
/// activations in between: backward frees them while it writes gradients.
/// @invariant buckets are cut by reverse declaration order and start in that order on every rank of a group, whatever
///   the routing; a parameter without use contributes exact zeros
/// @thread the rank's computing thread
class GradReducer {
 public:
  /// Becomes the source of every parameter's gradient window. Parameters must be materialised and outlive it.
  GradReducer(const std::vector<nn::Parameter*>& parameters, const mesh::ProcessMesh& mesh,
              const ReducerOptions& options = {});
  ~GradReducer();

  /// Old gradients are gone. The first write of a bucket may throw OutOfMemory.
  void begin_step();
  /// The next micro-batch is the step's last: buckets go as soon as they are complete.
  void begin_last_micro_batch();
  /// Starts what has not started, waits for all sums; forms the squares of what is there while later sums still run.
  /// @throws CommError
  void finish();

  /// sqrt of the sum of squares over the whole model as `finish` found it, each element counted by one owner; equal on all
  /// ranks. @comm SumGradNorm: one f64
  double gradient_norm();
  /// Elements that are NaN or infinite in the buckets of this rank.
  std::int64_t count_non_finite() const;

  /// What this rank updates.
  std::vector<optim::TrainedTensor> trained_tensors() const;

  /// Seconds of the last step spent waiting for sums, and seconds the sums themselves took.
  double wait_seconds() const { return wait_seconds_; }
  double reduce_seconds() const { return reduce_seconds_; }
  /// Seconds the sums of all buckets take when nothing else runs. Collective; the gradients are lost.
  double seconds_alone();
  std::int64_t bucket_count() const { return static_cast<std::int64_t>(buckets_.size()); }

 private:
  struct Bucket;
  void build_buckets(const ReducerOptions& options);
  static void allocate(Bucket& bucket);
  void on_ready(Bucket& bucket);
  void start(Bucket& bucket);
  void wait_for(Bucket& bucket);
  void add_squares(const Bucket& bucket);

  std::vector<nn::Parameter*> parameters_;
  const mesh::ProcessMesh& mesh_;
  std::vector<std::unique_ptr<Bucket>> buckets_;
  bool overlap_ = true;
  bool last_micro_batch_ = false;
  std::size_t next_to_start_ = 0;
  std::map<const nn::Parameter*, double> squares_;  // of what this rank owns of each
  double wait_seconds_ = 0.0;
  double reduce_seconds_ = 0.0;
};

}  // namespace moe::parallel
