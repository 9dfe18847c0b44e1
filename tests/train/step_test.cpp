#include "train/step.h"

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/format.h"
#include "dist/training.h"
#include "support/context_test.h"
#include "support/thread_ranks.h"
#include "support/tolerance.h"
#include "train/model_input.h"

namespace moe::train {
namespace {

using testing::Problem;
using testing::StepOutcome;
using testing::Trainer;
using testing::Values;

class StepTest : public testing::ContextTest {};

struct Alone {
  explicit Alone(const Problem& problem) : trainer(problem, *group, 1) {}
  std::unique_ptr<comm::Group> group = comm::make_self_group();
  Trainer trainer;
};

TEST_F(StepTest, TheLossIsTheMeanOverAllCountedTargetsOfTheStep) {
  Problem problem = testing::tiny_problem();
  problem.micro_batches = 3;
  Alone alone(problem);
  const data::StepBatches batches = alone.trainer.next_batches();
  double sum = 0.0;
  double targets = 0.0;
  std::int64_t tokens = 0;
  for (const data::Batch& batch : batches.micro_batches) {
    const ModelLoss loss =
        alone.trainer.state().model->loss(to_model_input(batch), {}, nn::Phase::Evaluate);
    for (const double value : loss.loss_T.to_vector()) sum += value;
    for (const std::int32_t target : batch.targets_BS) targets += target >= 0 ? 1.0 : 0.0;
    tokens += static_cast<std::int64_t>(batch.tokens_BS.size());
  }
  ASSERT_LT(targets, static_cast<double>(tokens)) << "some targets must not count";
  const StepResult result = alone.trainer.step(batches).result;
  EXPECT_NEAR(result.loss, sum / targets, sum / targets * testing::tolerance(DType::F32, 512));
  EXPECT_EQ(result.tokens, tokens);
}

/// After the first step Adam's first moment is (1 - beta1) times the clipped gradient.
TEST_F(StepTest, GradientsAreClippedToTheNormAsTorchDoes) {
  for (const double limit : {0.0, 1e-3, 0.1, 1e6}) {
    Problem problem = testing::tiny_problem();
    problem.gradient_clip = limit;
    problem.dtype = DType::F64;
    Alone alone(problem);
    const StepOutcome step = alone.trainer.step();
    double squares = 0.0;
    for (const auto& [name, values] : step.gradients) {
      for (const double value : values) squares += value * value;
    }
    const double norm = std::sqrt(squares);
    EXPECT_NEAR(step.result.gradient_norm, norm, norm * testing::tolerance(DType::F64, 4096));
    const double factor = limit > 0 && norm > limit ? limit / (norm + 1e-6) : 1.0;
    const Values moments = alone.trainer.gather_moments();
    for (const auto& [name, gradient] : step.gradients) {
      const std::vector<double>& first = moments.at(name + ".moment1");
      for (std::size_t i = 0; i < gradient.size(); ++i) {
        const double expected = (1.0 - problem.optimizer.beta1) * factor * gradient[i];
        ASSERT_NEAR(first[i], expected, std::abs(expected) * testing::tolerance(DType::F64, 64))
            << name << " element " << i << " limit " << limit;
      }
    }
  }
}

TEST_F(StepTest, RatesFollowTheScheduleAndCountersCount) {
  Problem problem = testing::tiny_problem();
  problem.micro_batches = 2;
  Alone alone(problem);
  TrainState& state = alone.trainer.state();
  state.schedule = optim::make_schedule({.name = "linear", .warmup_steps = 2}, 0.01, 6);
  std::vector<double> rates;
  for (int step = 0; step < 4; ++step) {
    EXPECT_EQ(state.step, step);
    EXPECT_EQ(state.tokens, step * 32);
    rates.push_back(alone.trainer.step().result.learning_rate);
  }
  const double expected[] = {0.005, 0.01, 0.0075, 0.005};
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_NEAR(rates[i], expected[i], expected[i] * testing::tolerance(DType::F64, 4)) << i;
}

/// Adam's step with bias correction: with tiny epsilon the first update moves every weight by the
/// rate, against its gradient.
TEST_F(StepTest, TheFirstUpdateIsTheRateAgainstTheGradient) {
  Problem problem = testing::tiny_problem();
  problem.dtype = DType::F64;
  problem.optimizer.epsilon = 1e-30;
  problem.optimizer.weight_decay = 0.0;
  Alone alone(problem);
  const Values before = alone.trainer.gather_weights();
  const StepOutcome step = alone.trainer.step();
  const Values after = alone.trainer.gather_weights();
  for (const auto& [name, gradient] : step.gradients) {
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      if (gradient[i] == 0.0) continue;
      const double moved = after.at(name)[i] - before.at(name)[i];
      ASSERT_NEAR(moved, gradient[i] > 0 ? -0.02 : 0.02, testing::tolerance(DType::F64, 64))
          << name << " element " << i;
    }
  }
}

TEST_F(StepTest, AccumulationEqualsOneBigBatch) {
  Problem big = testing::tiny_problem();
  big.model.balance_loss = "sequence";
  big.dtype = DType::F64;
  big.micro_batch = 6;
  Alone whole(big);
  const StepOutcome expected = whole.trainer.step();
  for (const std::int64_t parts : {2, 3, 6}) {
    Problem problem = big;
    problem.micro_batches = parts;
    problem.micro_batch = 6 / parts;
    Alone alone(problem);
    SCOPED_TRACE(format("{} micro-batches", parts));
    testing::expect_equal(big, alone.trainer.step(), expected);
  }
}

TEST_F(StepTest, PaddingRowsAreNoTokens) {
  Problem problem = testing::tiny_problem();
  problem.micro_batch = 3;
  Alone alone(problem);
  data::StepBatches batches = alone.trainer.next_batches();
  data::Batch& batch = batches.micro_batches[0];
  batch.sample_ids = {0, -1, 7};
  EXPECT_EQ(alone.trainer.step(batches).result.tokens, 16);
  EXPECT_EQ(alone.trainer.state().tokens, 16);
}

TEST_F(StepTest, AStepWithoutTargetsChangesNothingByGradient) {
  Problem problem = testing::tiny_problem();
  problem.optimizer.weight_decay = 0.0;
  problem.model.balance_loss = "none";
  problem.model.router_z_loss_coef = 0.0;
  Alone alone(problem);
  data::StepBatches batches = alone.trainer.next_batches();
  for (data::Batch& batch : batches.micro_batches) {
    std::fill(batch.targets_BS.begin(), batch.targets_BS.end(), data::kIgnoredTarget);
    batch.target_count = 0;
  }
  batches.target_count = 0;
  const Values before = alone.trainer.gather_weights();
  const StepResult result = alone.trainer.step(batches).result;
  EXPECT_EQ(result.loss, 0.0);
  EXPECT_EQ(result.gradient_norm, 0.0);
  EXPECT_TRUE(alone.trainer.gather_weights() == before);
}

TEST_F(StepTest, ANonFiniteGradientThrowsNamesItAndChangesNothing) {
  for (const double bad :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    Alone alone(testing::tiny_problem());
    TrainState& state = alone.trainer.state();
    alone.trainer.step();
    const Values moments = alone.trainer.gather_moments();
    // The last norm's gain: all that comes before it gets a bad gradient, the head too.
    nn::Parameter* norm = nullptr;
    state.model->for_each_parameter([&](nn::Parameter& p) {
      if (p.name() == "norm.weight") norm = &p;
    });
    const Tensor kept = norm->master().clone();
    norm->master().span<float>()[3] = static_cast<float>(bad);
    const auto bits = [&] {
      std::vector<std::vector<double>> all;
      state.model->for_each_parameter([&](nn::Parameter& p) {
        if (&p != norm) all.push_back(p.master().to_vector());
      });
      return all;
    };
    const auto before = bits();
    try {
      alone.trainer.step();
      ADD_FAILURE() << bad << " trained";
    } catch (const NumericalError& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find("step 2: gradient norm is"), std::string::npos) << text;
      EXPECT_NE(text.find("first non-finite gradient: embedding.weight ("), std::string::npos)
          << text;
      EXPECT_EQ(text.find("(0 of"), std::string::npos) << text;
    }
    EXPECT_EQ(state.step, 1);
    EXPECT_EQ(state.tokens, 16);
    EXPECT_TRUE(bits() == before);
    EXPECT_TRUE(alone.trainer.gather_moments() == moments);
    norm->master().copy_from(kept);
    EXPECT_NO_THROW(alone.trainer.step()) << "the state is as it was";
  }
}

TEST_F(StepTest, ANonFiniteGradientOfOneRankStopsAll) {
  Problem problem = testing::tiny_problem();
  problem.readers = 2;
  testing::run_ranks(2, [&](comm::Group& world) {
    Trainer trainer(problem, world, 2);
    // An expert of rank 1: its gradient is not summed with rank 0's.
    trainer.state().model->for_each_parameter([&](nn::Parameter& p) {
      const bool expert = p.name() == "layers.2.moe.experts.down.weight";
      if (world.rank() == 1 && expert) p.master().fill(std::numeric_limits<double>::infinity());
    });
    EXPECT_THROW(trainer.step(), NumericalError);
    EXPECT_EQ(trainer.state().step, 0);
  });
}

TEST_F(StepTest, RoutingIsOptionalAndCountsEveryMicroBatch) {
  Problem problem = testing::tiny_problem();
  problem.micro_batches = 3;
  Alone alone(problem);
  metrics::Trace trace;
  EXPECT_NO_THROW(run_step(alone.trainer.state(), alone.trainer.next_batches(), nullptr, trace));
  RoutingStatistics routing(problem.model);
  run_step(alone.trainer.state(), alone.trainer.next_batches(), &routing, trace);
  for (const metrics::RoutingCounts& counts : routing.counts()) EXPECT_EQ(counts.tokens, 3 * 16);
}

}  // namespace
}  // namespace moe::train
