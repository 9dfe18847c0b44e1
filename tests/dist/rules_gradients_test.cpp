// Rules about gradients, their norm and the update; docs/correctness.md lists them all.
#include <gtest/gtest.h>

#include <cmath>

#include "base/format.h"
#include "dist/training.h"
#include "support/context_test.h"
#include "support/thread_ranks.h"
#include "support/tolerance.h"

namespace moe {
namespace {

using testing::Outcome;
using testing::Problem;
using testing::StepOutcome;
using testing::Trainer;
using testing::Values;

class Rule12 : public testing::ContextTest {};
class Rule13 : public testing::ContextTest {};
class Rule15 : public testing::ContextTest {};
class Rule17 : public testing::ContextTest {};

constexpr int kRanks = 4;

Problem four_ranks() {
  Problem problem = testing::tiny_problem();
  problem.readers = kRanks;
  problem.steps = 1;
  return problem;
}

bool is_expert(const std::string& name) {
  return name.find(".experts.") != std::string::npos;
}

/// Runs `body(trainer)` on every rank of every factoring of four.
void on_each_layout(const Problem& problem,
                    const std::function<void(Trainer&, comm::Group&, int)>& body) {
  for (const int expert : {1, 2, 4}) {
    SCOPED_TRACE(format("expert {}", expert));
    testing::run_ranks(kRanks, [&](comm::Group& world) {
      Trainer trainer(problem, world, expert);
      body(trainer, world, expert);
    });
  }
}

TEST_F(Rule12, ExpertGradientsAreSummedOverReplicasAndDividedByNothingMore) {
  Problem problem = four_ranks();
  problem.dtype = DType::F64;
  const Outcome serial = testing::run_serial_with_clear_routing(problem);
  on_each_layout(problem, [&](Trainer& trainer, comm::Group& world, int) {
    const Values gradients = trainer.step().gradients;
    if (world.rank() != 0) return;
    std::size_t experts = 0;
    for (const auto& [name, values] : gradients) experts += is_expert(name) ? 1 : 0;
    EXPECT_EQ(experts, 4U) << "two weights in each of two sparse layers";
    testing::expect_equal(problem, gradients, serial.steps[0].gradients);
  });
}

TEST_F(Rule13, NormCountsEachExpertShardOnceAndReplicasOnce) {
  on_each_layout(four_ranks(), [](Trainer& trainer, comm::Group&, int) {
    const StepOutcome step = trainer.step();
    double squares = 0.0;
    for (const auto& [name, values] : step.gradients) {
      for (const double value : values) squares += value * value;
    }
    const double expected = std::sqrt(squares);
    EXPECT_NEAR(step.result.gradient_norm, expected, expected * testing::tolerance(DType::F32, 64));
  });
}

TEST_F(Rule13, EveryRankClipsByTheSameFactor) {
  Problem problem = four_ranks();
  problem.gradient_clip = 1e-3;
  on_each_layout(problem, [&](Trainer& trainer, comm::Group& world, int) {
    double norm = trainer.step().result.gradient_norm;
    double other = -norm;
    EXPECT_GT(norm, problem.gradient_clip) << "nothing was clipped";
    world.all_reduce_max(View{&norm, DType::F64, 1, {1}, {1}}).wait();
    world.all_reduce_max(View{&other, DType::F64, 1, {1}, {1}}).wait();
    EXPECT_EQ(norm, -other);
    trainer.gather_weights();  // fails if two holders of an element differ
  });
}

TEST_F(Rule15, AnExpertWithoutTokensHasAnExactlyZeroGradientAndStillDecays) {
  Problem problem = four_ranks();
  problem.optimizer.weight_decay = 0.5;
  on_each_layout(problem, [&](Trainer& trainer, comm::Group& world, int) {
    // Whatever was in the buffers before must not matter; the second step takes the memory of the first.
    testing::silence_routers(trainer);
    trainer.step();
    testing::silence_routers(trainer);
    trainer.state().model->for_each_parameter(
        [](nn::Parameter& p) { p.gradient().fill(std::numeric_limits<double>::quiet_NaN()); });
    const Values before = trainer.gather_weights();
    const Values gradients = trainer.step().gradients;
    const Values after = trainer.gather_weights();
    if (world.rank() != 0) return;
    const auto keep =
        static_cast<float>(1.0 - problem.optimizer.learning_rate * problem.optimizer.weight_decay);
    for (const auto& [name, values] : gradients) {
      if (!is_expert(name)) continue;
      const std::size_t idle = values.size() / 8 * 2;
      double used = 0.0;
      for (std::size_t i = 0; i < idle; ++i) used += std::abs(values[i]);
      EXPECT_GT(used, 0.0) << name;
      for (std::size_t i = idle; i < values.size(); ++i) {
        ASSERT_EQ(values[i], 0.0) << name << " element " << i;
        ASSERT_NEAR(after.at(name)[i], before.at(name)[i] * static_cast<double>(keep),
                    std::abs(before.at(name)[i]) * testing::tolerance(DType::F32))
            << name << " element " << i;
      }
    }
  });
}

TEST_F(Rule15, ARankWithoutTokensTakesPartInEverything) {
  Problem problem = four_ranks();
  problem.model.balance_loss = "sequence";
  const auto without_rank_2 = [&](Trainer& trainer, int reader, int readers) {
    data::StepBatches batches = trainer.next_batches();
    std::vector<data::Batch> kept;
    batches.target_count = 0;
    for (std::size_t m = 0; m < batches.micro_batches.size(); ++m) {
      data::Batch& batch = batches.micro_batches[m];
      const bool padding = readers == 1 ? m == 2 : reader == 2;
      if (padding) {
        std::fill(batch.sample_ids.begin(), batch.sample_ids.end(), -1);
        std::fill(batch.targets_BS.begin(), batch.targets_BS.end(), data::kIgnoredTarget);
        batch.target_count = 0;
      }
      batches.target_count += batch.target_count;
      // One rank skips the padding altogether: it must count for nothing.
      if (!padding || readers > 1) kept.push_back(batch);
    }
    batches.micro_batches = std::move(kept);
    return batches;
  };
  Problem chosen = problem;
  testing::run_serial_with_clear_routing(chosen);
  const auto alone = comm::make_self_group();
  Trainer serial(chosen, *alone, 1);
  const StepOutcome expected = serial.step(without_rank_2(serial, 0, 1));
  on_each_layout(chosen, [&](Trainer& trainer, comm::Group& world, int) {
    const StepOutcome step = trainer.step(without_rank_2(trainer, world.rank(), kRanks));
    if (world.rank() == 0) testing::expect_equal(chosen, step, expected);
  });
}

/// How one step changes weights, by kind, where the update is decay alone (idle experts) or
/// everything.
Values weights_after_a_step(const Problem& problem, Values& before) {
  const auto alone = comm::make_self_group();
  Trainer trainer(problem, *alone, 1);
  before = trainer.gather_weights();
  trainer.step();
  return trainer.gather_weights();
}

TEST_F(Rule17, RatesAndDecayGoByKindNotByShape) {
  Problem problem = testing::tiny_problem();
  problem.optimizer.groups = {{.kinds = {"router"}, .learning_rate_scale = 0.0},
                              {.kinds = {"embedding"}, .learning_rate_scale = 0.0}};
  Values before;
  const Values after = weights_after_a_step(problem, before);
  for (const auto& [name, values] : after) {
    const bool frozen = name.find(".router.") != std::string::npos || name == "embedding.weight";
    EXPECT_EQ(values == before.at(name), frozen) << name;
  }
}

TEST_F(Rule17, NormsDoNotDecayAndMatricesDo) {
  Problem problem = testing::tiny_problem();
  Problem decaying = problem;
  problem.optimizer.weight_decay = 0.0;
  decaying.optimizer.weight_decay = 0.4;
  Values before;
  const Values plain = weights_after_a_step(problem, before);
  const Values decayed = weights_after_a_step(decaying, before);
  for (const auto& [name, values] : plain) {
    const bool norm = name.find("norm") != std::string::npos;
    EXPECT_EQ(values == decayed.at(name), norm) << name;
  }
}

}  // namespace
}  // namespace moe
