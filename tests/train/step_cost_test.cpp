// What a step costs, in figures that no machine changes: kernels run, memory asked of the system, bytes held.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "dist/training.h"
#include "support/call_counter.h"
#include "support/context_test.h"
#include "train/step.h"

namespace moe::train {
namespace {

using testing::CallCounter;
using testing::Problem;
using testing::Trainer;

class StepCostTest : public testing::ContextTest {
 protected:
  std::map<std::string, std::int64_t> calls_of_a_step(const Problem& problem) {
    const auto group = comm::make_self_group();
    Trainer trainer(problem, *group, 1);
    trainer.step();
    const data::StepBatches batches = trainer.next_batches();
    metrics::Trace trace;
    CallCounter counter;
    current_context().stream.observe(&counter);
    run_step(trainer.state(), batches, nullptr, trace);
    current_context().stream.observe(nullptr);
    return counter.calls;
  }
};

/// Of one forward; the input's gradient and the weight's are two more products of each.
std::int64_t linears(const ModelConfig& m) {
  const std::int64_t sparse = m.sparse_layer_count();
  const std::int64_t dense = m.num_hidden_layers - sparse;
  const std::int64_t shared = m.shared_expert_intermediate_size > 0 ? (m.shared_expert_gate ? 3 : 2) : 0;
  return 4 * m.num_hidden_layers + 2 * dense + (1 + shared) * sparse;  // q, k, v, o; gate_up, down; router
}

TEST_F(StepCostTest, EveryMatrixProductRunsOnceAndNoOther) {
  for (const bool gated : {false, true}) {
    for (const std::int64_t micro_batches : {1, 3}) {
      Problem problem = testing::tiny_problem();
      problem.micro_batches = micro_batches;
      problem.model.shared_expert_gate = gated;
      auto calls = calls_of_a_step(problem);
      const ModelConfig& m = problem.model;
      EXPECT_EQ(calls["gemm"], micro_batches * 3 * linears(m));
      EXPECT_EQ(calls["grouped_gemm"], micro_batches * 4 * m.sparse_layer_count());
      EXPECT_EQ(calls["grouped_gemm_weight"], micro_batches * 2 * m.sparse_layer_count());
      // The vocabulary is small enough for one chunk of logits.
      EXPECT_EQ(calls["lm_head gemm"], micro_batches * 3);
      EXPECT_EQ(calls["lm_head cross_entropy"], micro_batches);
      EXPECT_EQ(calls["attention"], micro_batches * m.num_hidden_layers);
      EXPECT_EQ(calls["attention_backward"], micro_batches * m.num_hidden_layers);
      EXPECT_EQ(calls["rms_norm"], micro_batches * (2 * m.num_hidden_layers + 1));
      EXPECT_EQ(calls["top_k_router"], micro_batches * m.sparse_layer_count());
    }
  }
}

TEST_F(StepCostTest, RecomputationAddsOneForwardOfTheLayers) {
  Problem problem = testing::tiny_problem();
  auto plain = calls_of_a_step(problem);
  problem.recompute = true;
  auto recomputed = calls_of_a_step(problem);
  EXPECT_EQ(recomputed["gemm"] - plain["gemm"], linears(problem.model));
  EXPECT_EQ(recomputed["grouped_gemm"] - plain["grouped_gemm"], 2 * problem.model.sparse_layer_count());
  EXPECT_EQ(recomputed["attention"] - plain["attention"], problem.model.num_hidden_layers);
  EXPECT_EQ(recomputed["lm_head gemm"], plain["lm_head gemm"]);
}

TEST_F(StepCostTest, TheOptimizerPassesOverEveryParameterOnceAStep) {
  Problem problem = testing::tiny_problem();
  problem.micro_batches = 3;
  auto calls = calls_of_a_step(problem);
  const auto group = comm::make_self_group();
  const auto parameters = static_cast<std::int64_t>(Trainer(problem, *group, 1).state().model->parameters().size());
  EXPECT_EQ(calls["adamw"], parameters);
  EXPECT_EQ(calls["sum_squares"], parameters);
}

TEST_F(StepCostTest, AfterTheFirstStepsNothingIsAskedOfTheSystem) {
  for (const bool recompute : {false, true}) {
    Problem problem = testing::tiny_problem();
    problem.recompute = recompute;
    problem.micro_batches = 2;
    const auto group = comm::make_self_group();
    Trainer trainer(problem, *group, 1);
    metrics::Trace trace;
    // Routing changes the sizes of the experts' blocks; after these every size class has been seen.
    for (int step = 0; step < 4; ++step) run_step(trainer.state(), trainer.next_batches(), nullptr, trace);
    const std::int64_t asked = current_context().allocator.system_allocations();
    const std::int64_t held = current_context().allocator.total().bytes;
    for (int step = 0; step < 8; ++step) {
      run_step(trainer.state(), trainer.next_batches(), nullptr, trace);
      EXPECT_EQ(current_context().allocator.total().bytes, held) << "a step keeps nothing";
    }
    EXPECT_EQ(current_context().allocator.system_allocations(), asked);
  }
}

/// Activations grow with the tokens of a micro-batch, and with nothing else.
TEST_F(StepCostTest, ActivationsAreLinearInTokensAndFreeOfAccumulation) {
  const auto peak = [](std::int64_t micro_batch, std::int64_t micro_batches) {
    Problem problem = testing::tiny_problem();
    problem.micro_batch = micro_batch;
    problem.micro_batches = micro_batches;
    const auto group = comm::make_self_group();
    Trainer trainer(problem, *group, 1);
    metrics::Trace trace;
    run_step(trainer.state(), trainer.next_batches(), nullptr, trace);
    current_context().allocator.reset_peaks();
    run_step(trainer.state(), trainer.next_batches(), nullptr, trace);
    return static_cast<double>(current_context().allocator.account(MemoryCategory::Activations).peak_bytes);
  };
  const double one = peak(8, 1);
  EXPECT_EQ(peak(8, 4), one);
  // Routing tables and the rounding of blocks are the only parts that do not double: less than a twentieth.
  for (const std::int64_t times : {2, 4}) {
    const double ratio = peak(8 * times, 1) / one;
    EXPECT_GT(ratio, 0.95 * static_cast<double>(times));
    EXPECT_LT(ratio, 1.05 * static_cast<double>(times));
  }
}

}  // namespace
}  // namespace moe::train
