// What may change no bit of a training run: recompute, overlap, bucket size, threads, and stopping
// and resuming.
#include <gtest/gtest.h>

#include "base/format.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/writer.h"
#include "dist/training.h"
#include "support/context_test.h"
#include "support/temporary_folder.h"
#include "support/thread_ranks.h"
#include "train/persistence.h"

namespace moe {
namespace {

using testing::Outcome;
using testing::Problem;
using testing::Trainer;

struct Layout {
  int ranks;
  int expert;
};

const std::vector<Layout>& layouts() {
  static const std::vector<Layout> table{{1, 1}, {2, 2}, {4, 2}};
  return table;
}

constexpr DType kDTypes[] = {DType::F32, DType::BF16};

/// Rank 0's view of a run; gathering fails the test if ranks disagree.
Outcome run_on(const Problem& problem, const Layout& layout, int threads = 1) {
  Outcome outcome;
  testing::run_ranks(
      layout.ranks,
      [&](comm::Group& world) {
        current_context().emulate_bf16 = true;
        Problem mine = problem;
        mine.readers = layout.ranks;
        Outcome own = testing::run_parallel(mine, world, layout.expert);
        if (world.rank() == 0) outcome = std::move(own);
      },
      threads);
  return outcome;
}

Problem problem_in(DType dtype) {
  Problem problem = testing::tiny_problem();
  problem.dtype = dtype;
  problem.micro_batches = 2;
  problem.model.balance_loss = "global";
  problem.model.tie_word_embeddings = true;
  return problem;
}

/// `change` must not show.
void expect_no_bit(const std::function<void(Problem&)>& change, int threads = 1) {
  for (const DType dtype : kDTypes) {
    for (const Layout& layout : layouts()) {
      SCOPED_TRACE(
          format("{}, {} ranks, expert {}", to_string(dtype), layout.ranks, layout.expert));
      Problem problem = problem_in(dtype);
      const Outcome plain = run_on(problem, layout);
      change(problem);
      testing::expect_same_bits(run_on(problem, layout, threads), plain);
    }
  }
}

TEST(Exact, RecomputeChangesNoBit) {
  expect_no_bit([](Problem& problem) { problem.recompute = true; });
}

TEST(Exact, RecomputeWithCapacityChangesNoBit) {
  Problem problem = problem_in(DType::F32);
  problem.model.capacity_factor = 0.8;
  const Outcome plain = run_on(problem, {4, 2});
  problem.recompute = true;
  testing::expect_same_bits(run_on(problem, {4, 2}), plain);
}

TEST(Exact, OverlapChangesNoBit) {
  expect_no_bit([](Problem& problem) { problem.reducer.overlap = false; });
}

TEST(Exact, BucketSizeChangesNoBit) {
  for (const std::int64_t bytes : {1, 3000}) {
    expect_no_bit([bytes](Problem& problem) { problem.reducer.bucket_bytes = bytes; });
  }
}

TEST(Exact, ThreadsChangeNoBit) {
  expect_no_bit([](Problem&) {}, 2);
  // Large enough that the second thread has work.
  Problem problem = problem_in(DType::F32);
  problem.model.hidden_size = 64;
  problem.model.moe_intermediate_size = 96;
  problem.model.vocab_size = 512;
  problem.micro_batch = 8;
  problem.sequence_length = 32;
  testing::expect_same_bits(run_on(problem, {1, 1}, 2), run_on(problem, {1, 1}, 1));
}

TEST(Exact, SavingAndRebuildingChangesNoBit) {
  for (const DType dtype : kDTypes) {
    for (const Layout& layout : layouts()) {
      SCOPED_TRACE(
          format("{}, {} ranks, expert {}", to_string(dtype), layout.ranks, layout.expert));
      Problem problem = problem_in(dtype);
      problem.readers = layout.ranks;
      problem.steps = 5;
      const Outcome uninterrupted = run_on(problem, layout);
      const testing::TemporaryFolder folder(true);
      testing::run_ranks(layout.ranks, [&](comm::Group& world) {
        current_context().emulate_bf16 = true;
        Path saved;
        Outcome outcome;
        {
          Trainer trainer(problem, world, layout.expert);
          for (int step = 0; step < 2; ++step) outcome.steps.push_back(trainer.step());
          saved = checkpoint::write(
                      checkpoint::take(
                          train::describe_state(trainer.state(), {.config_yaml = "name: x\n"}),
                          checkpoint::Staging::Borrow),
                      {.folder = folder.path()}, world)
                      .path;
          trainer.step();  // lost with the job
        }
        Problem other = problem;
        other.seed += 1;  // other first weights: all must come from the checkpoint
        Trainer trainer(other, world, layout.expert);
        train::restore_state(trainer.state(),
                             *checkpoint::open_checkpoint(saved, {.group = &world}));
        trainer.seek(problem.seed);
        for (int step = 2; step < 5; ++step) outcome.steps.push_back(trainer.step());
        outcome.weights = trainer.gather_weights();
        if (world.rank() == 0) testing::expect_same_bits(outcome, uninterrupted);
      });
    }
  }
}

}  // namespace
}  // namespace moe
