// Rules about checkpoints and evaluation; docs/correctness.md lists them all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/format.h"
#include "checkpoint/writer.h"
#include "dist/training.h"
#include "support/context_test.h"
#include "support/temporary_folder.h"
#include "support/thread_ranks.h"
#include "support/tolerance.h"
#include "train/evaluate.h"
#include "train/model_input.h"
#include "train/persistence.h"

namespace moe {
namespace {

using testing::Outcome;
using testing::Problem;
using testing::StepOutcome;
using testing::Trainer;
using testing::Values;

class Rule29 : public testing::ContextTest {};
class Rule30 : public testing::ContextTest {};

constexpr std::int64_t kSequences = 8;

/// The same 8 sequences a step, whatever the number of ranks.
Problem spread_over(Problem problem, int ranks) {
  problem.readers = ranks;
  problem.micro_batch = 1;
  problem.micro_batches = kSequences / ranks;
  return problem;
}

Path save(Trainer& trainer, const testing::TemporaryFolder& folder, comm::Group& world) {
  const train::CheckpointContext context{
      .config_yaml = "name: x\n", .data_fingerprint = "d", .seed = 1};
  return checkpoint::write(checkpoint::take(train::describe_state(trainer.state(), context),
                                            checkpoint::Staging::Borrow),
                           {.folder = folder.path()}, world)
      .path;
}

struct Layout {
  int ranks;
  int expert;
};

TEST_F(Rule29, AnyLayoutContinuesWhatAnyOtherSaved) {
  const testing::TemporaryFolder folder(true);
  Problem problem = spread_over(testing::tiny_problem(), 4);
  problem.steps = 4;
  testing::run_serial_with_clear_routing(problem);
  std::vector<StepOutcome> expected;
  Values expected_weights;
  Values saved_moments;
  Path saved;
  testing::run_ranks(4, [&](comm::Group& world) {
    Trainer trainer(problem, world, 2);
    for (int step = 0; step < 2; ++step) trainer.step();
    const Path path = save(trainer, folder, world);
    const Values moments = trainer.gather_moments();
    const std::vector<StepOutcome> after{trainer.step(), trainer.step()};
    const Values weights = trainer.gather_weights();
    if (world.rank() != 0) return;
    saved = path;
    saved_moments = moments;
    expected = after;
    expected_weights = weights;
  });
  ASSERT_EQ(saved_moments.size(), 2 * expected_weights.size());
  for (const Layout layout :
       {Layout{1, 1}, {2, 1}, {2, 2}, {4, 1}, {4, 2}, {4, 4}, {8, 1}, {8, 4}, {8, 8}}) {
    SCOPED_TRACE(format("loaded by {} ranks, expert {}", layout.ranks, layout.expert));
    testing::run_ranks(layout.ranks, [&](comm::Group& world) {
      Problem mine = spread_over(problem, layout.ranks);
      mine.seed += 100;  // other first weights
      Trainer trainer(mine, world, layout.expert);
      train::restore_state(trainer.state(), *checkpoint::open_checkpoint(saved, {.group = &world}));
      EXPECT_EQ(trainer.state().step, 2);
      EXPECT_EQ(trainer.state().cursor.samples_consumed, 2 * kSequences);
      EXPECT_TRUE(trainer.gather_moments() == saved_moments);
      trainer.seek(problem.seed);
      for (const StepOutcome& step : expected) {
        const StepOutcome actual = trainer.step();
        if (world.rank() == 0) testing::expect_equal(mine, actual, step);
      }
      const Values weights = trainer.gather_weights();
      if (world.rank() == 0) testing::expect_equal(mine, weights, expected_weights);
    });
  }
}

TEST_F(Rule29, MissingOptimizerStateIsAnErrorAndNoSilentReset) {
  const testing::TemporaryFolder folder(true);
  const auto alone = comm::make_self_group();
  Trainer trainer(testing::tiny_problem(), *alone, 1);
  trainer.step();
  checkpoint::State state = train::describe_state(trainer.state(), {.config_yaml = "name: x\n"});
  std::erase_if(state.tensors,
                [](const auto& tensor) { return tensor.name == "norm.weight.moment2"; });
  const auto report = checkpoint::write(checkpoint::take(state, checkpoint::Staging::Borrow),
                                        {.folder = folder.path()}, *alone);
  try {
    train::restore_state(trainer.state(), *checkpoint::open_checkpoint(report.path));
    ADD_FAILURE() << "a checkpoint without moments was loaded";
  } catch (const CheckpointError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("norm.weight.moment2"));
  }
}

Problem with_evaluation_capacity() {
  Problem problem = testing::tiny_problem();
  problem.model.balance_loss = "global";
  problem.model.capacity_factor = 0.5;
  problem.model.eval_capacity_factor = 4.0;
  return problem;
}

std::int64_t dropped(const ModelLoss& loss) {
  std::int64_t count = 0;
  for (const BalanceTerm& term : loss.terms) {
    for (const std::int32_t expert : term.kept_TK.span<std::int32_t>()) count += expert < 0 ? 1 : 0;
  }
  return count;
}

TEST_F(Rule30, EvaluationHasItsOwnCapacityAndNoRouterLosses) {
  const auto alone = comm::make_self_group();
  Trainer trainer(with_evaluation_capacity(), *alone, 1);
  Model& model = *trainer.state().model;
  const ModelInput input = train::to_model_input(trainer.next_batches().micro_batches[0]);
  const ModelLoss trained = model.loss(input, {}, nn::Phase::Train);
  const ModelLoss evaluated = model.loss(input, {}, nn::Phase::Evaluate);
  EXPECT_GT(dropped(trained), 0);
  EXPECT_EQ(dropped(evaluated), 0);
  EXPECT_NE(trained.total.value().item(), trained.cross_entropy);
  EXPECT_EQ(evaluated.total.value().item(), evaluated.cross_entropy);
  EXPECT_EQ(evaluated.balance, 0.0);
  EXPECT_EQ(evaluated.z, 0.0);
}

/// Windows of the training source itself: what is read does not matter here.
class FewWindows final : public data::HeldOut {
 public:
  std::int64_t windows() const override { return 3; }
  std::int64_t tokens() const override { return 24; }
  std::int64_t bytes() const override { return -1; }
  void read(std::int64_t window, const data::SequenceView& out) const override {
    for (std::size_t i = 0; i < out.tokens.size(); ++i) {
      out.tokens[i] =
          static_cast<std::int32_t>((static_cast<std::size_t>(window) * 5 + i * 7) % 24);
      out.targets[i] = static_cast<std::int32_t>((static_cast<std::size_t>(window) + i * 3) % 24);
    }
    out.starts.assign(1, 0);
    data::number_positions(out);
  }
};

TEST_F(Rule30, EvaluationChangesNothingInTraining) {
  const auto alone = comm::make_self_group();
  const Problem problem = with_evaluation_capacity();
  const data::HeldOutLoader held_out(std::make_shared<FewWindows>(), {.micro_batch = 2},
                                     problem.sequence_length);
  const auto run = [&](bool evaluated) {
    Trainer trainer(problem, *alone, 1);
    Outcome outcome;
    for (int step = 0; step < 3; ++step) {
      if (evaluated)
        train::evaluate(*trainer.state().model, held_out, *alone, std::nullopt, nullptr);
      outcome.steps.push_back(trainer.step());
    }
    outcome.weights = trainer.gather_weights();
    return outcome;
  };
  testing::expect_same_bits(run(true), run(false));
}

TEST_F(Rule30, EvaluationIsTheSameOnAnyNumberOfRanks) {
  const Problem problem = testing::tiny_problem();
  std::map<int, train::Evaluation> results;
  for (const Layout layout : {Layout{1, 1}, {2, 2}, {4, 1}, {4, 4}}) {
    testing::run_ranks(layout.ranks, [&](comm::Group& world) {
      Problem mine = problem;
      mine.readers = layout.ranks;
      Trainer trainer(mine, world, layout.expert);
      const data::HeldOutLoader held_out(
          std::make_shared<FewWindows>(),
          {.micro_batch = 1, .reader = world.rank(), .readers = layout.ranks},
          problem.sequence_length);
      const auto evaluation =
          train::evaluate(*trainer.state().model, held_out, world, std::nullopt, nullptr);
      if (world.rank() == 0) results[layout.ranks * 10 + layout.expert] = evaluation;
    });
  }
  for (const auto& [layout, evaluation] : results) {
    EXPECT_EQ(evaluation.tokens, 24) << layout;
    EXPECT_NEAR(evaluation.loss, results.at(11).loss,
                results.at(11).loss * testing::tolerance(DType::F32, 64))
        << layout;
  }
}

}  // namespace
}  // namespace moe
