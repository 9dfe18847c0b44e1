// Rules about losses that go wrong silently; docs/correctness.md lists them all.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "base/format.h"
#include "dist/training.h"
#include "support/context_test.h"
#include "support/expect_close.h"
#include "train/model_input.h"

namespace moe {
namespace {

using testing::Problem;
using testing::Trainer;

/// One rank's trainer with its group.
struct Alone {
  explicit Alone(const Problem& problem) : trainer(problem, *group, 1) {}
  Model& model() { return *trainer.state().model; }
  std::unique_ptr<comm::Group> group = comm::make_self_group();
  Trainer trainer;
};

double layers_mean(const std::vector<BalanceTerm>& terms,
                   const std::function<double(const BalanceTerm&)>& value) {
  double sum = 0.0;
  for (const BalanceTerm& term : terms) sum += value(term);
  return sum / static_cast<double>(terms.size());
}

/// E / (K T^2) * sum over experts of S n, over the tokens [begin, end).
double balance_by_hand(const BalanceTerm& term, std::int64_t begin, std::int64_t end) {
  const std::vector<double> p = term.probability_TE.value().to_vector();
  const std::int64_t experts = term.probability_TE.dim(1);
  const std::int64_t choices = term.chosen_TK.dim(1);
  double sum = 0.0;
  for (std::int64_t e = 0; e < experts; ++e) {
    double score = 0.0;
    double routes = 0.0;
    for (std::int64_t t = begin; t < end; ++t) {
      score += p[static_cast<std::size_t>(t * experts + e)];
      for (std::int64_t k = 0; k < choices; ++k) {
        routes +=
            term.chosen_TK.span<std::int32_t>()[static_cast<std::size_t>(t * choices + k)] == e
                ? 1.0
                : 0.0;
      }
    }
    sum += score * routes;
  }
  const auto tokens = static_cast<double>(end - begin);
  return sum * static_cast<double>(experts) / (static_cast<double>(choices) * tokens * tokens);
}

class Rule1 : public testing::ContextTest {};
class Rule2 : public testing::ContextTest {};
class Rule3 : public testing::ContextTest {};
class Rule4 : public testing::ContextTest {};
class Rule5 : public testing::ContextTest {};
class Rule6 : public testing::ContextTest {};
class Rule9 : public testing::ContextTest {};

TEST_F(Rule1, BatchBalanceLossIsTheFormulaOfTheWholeMicroBatch) {
  Alone alone(testing::tiny_problem());
  const data::StepBatches batches = alone.trainer.next_batches();
  const ModelInput input = train::to_model_input(batches.micro_batches[0]);
  const ModelLoss loss = alone.model().loss(input, {.per_micro_batch = 1.0}, nn::Phase::Train);
  const std::int64_t tokens = input.token_T.dim(0);
  const double expected = layers_mean(
      loss.terms, [&](const BalanceTerm& term) { return balance_by_hand(term, 0, tokens); });
  EXPECT_NEAR(loss.balance, expected, expected * testing::tolerance(DType::F32, tokens));
}

TEST_F(Rule2, GlobalCountsAreTheRunningMeanOverTheStepsMicroBatches) {
  RoutingSums sums;
  for (int step = 0; step < 2; ++step) {
    sums.begin_step();
    EXPECT_EQ(sums.add({4.0, 0.0}), (std::vector<double>{4.0, 0.0}));
    EXPECT_EQ(sums.add({0.0, 2.0}), (std::vector<double>{2.0, 1.0}));
    EXPECT_EQ(sums.add({2.0, 4.0}), (std::vector<double>{2.0, 2.0}));
  }
}

/// Counts calls; a recomputed forward must make none.
class CountingSums : public RoutingSums {
 public:
  explicit CountingSums(int& calls) : calls_(calls) {}

 protected:
  void sum_over_ranks(std::vector<double>&) override { ++calls_; }

 private:
  int& calls_;
};

TEST_F(Rule2, ARecomputedForwardCountsNothing) {
  Problem problem = testing::tiny_problem();
  problem.model.balance_loss = "global";
  problem.micro_batches = 3;
  for (const bool recompute : {false, true}) {
    problem.recompute = recompute;
    Alone alone(problem);
    int calls = 0;
    alone.model().set_routing_sums(std::make_unique<CountingSums>(calls));
    alone.trainer.step();
    EXPECT_EQ(calls, 3);
  }
}

TEST_F(Rule3, SequenceBalanceIsPerDocumentWeightedByTokens) {
  Problem problem = testing::tiny_problem();
  problem.model.balance_loss = "sequence";
  problem.micro_batch = 4;
  Alone alone(problem);
  const data::Batch batch = alone.trainer.next_batches().micro_batches[0];
  ASSERT_GT(batch.document_bounds.size(), 5U) << "the batch must hold more documents than rows";
  const auto tokens = static_cast<double>(batch.tokens_BS.size());
  const ModelLoss loss = alone.model().loss(train::to_model_input(batch),
                                            {.per_token = 1.0 / tokens}, nn::Phase::Train);
  const double expected = layers_mean(loss.terms, [&](const BalanceTerm& term) {
    double sum = 0.0;
    for (std::size_t d = 0; d + 1 < batch.document_bounds.size(); ++d) {
      const std::int64_t begin = batch.document_bounds[d];
      const std::int64_t end = batch.document_bounds[d + 1];
      sum += balance_by_hand(term, begin, end) * static_cast<double>(end - begin) / tokens;
    }
    return sum;
  });
  EXPECT_NEAR(loss.balance, expected, expected * testing::tolerance(DType::F32, 64));
}

TEST_F(Rule4, TwiceTheAccumulationOfTheSameTokensChangesNoGradient) {
  for (const std::string& balance : balance_loss_names()) {
    Problem problem = testing::tiny_problem();
    problem.dtype = DType::F64;
    problem.model.balance_loss = balance;
    Alone once(problem);
    Alone twice(problem);
    data::StepBatches batches = once.trainer.next_batches();
    const testing::StepOutcome expected = once.trainer.step(batches);
    batches.micro_batches.push_back(batches.micro_batches[0]);
    batches.target_count *= 2;
    testing::StepOutcome actual = twice.trainer.step(batches);
    SCOPED_TRACE(balance);
    testing::expect_equal(problem, actual.gradients, expected.gradients);
    EXPECT_NEAR(actual.result.balance_loss, expected.result.balance_loss,
                testing::tolerance(DType::F64, 256));
    EXPECT_NEAR(actual.result.z_loss, expected.result.z_loss,
                expected.result.z_loss * testing::tolerance(DType::F64, 256));
  }
}

TEST_F(Rule5, BalancedIsOneForEveryLossAndPooling) {
  for (const char* balance : {"micro_batch", "sequence", "global"}) {
    for (const char* pooling : {"layer", "model"}) {
      Problem problem = testing::tiny_problem();
      problem.model.balance_loss = balance;
      problem.model.balance_pooling = pooling;
      problem.micro_batches = 2;
      Alone alone(problem);
      alone.model().for_each_parameter([](nn::Parameter& p) {
        if (p.kind() == ParameterKind::Router) p.master().fill(0.0);
      });
      EXPECT_NEAR(alone.trainer.step().result.balance_loss, 1.0, testing::tolerance(DType::F32, 64))
          << balance << " " << pooling;
    }
  }
}

TEST_F(Rule6, ZLossIsTheMeanSquareOfTheRawLogsumexpOfRealTokensInSinglePrecision) {
  for (const DType dtype : {DType::F32, DType::BF16}) {
    Problem problem = testing::tiny_problem();
    problem.dtype = dtype;
    Alone alone(problem);
    data::Batch batch = alone.trainer.next_batches().micro_batches[0];
    batch.sample_ids[1] = -1;  // the second sequence is padding
    const ModelInput input = train::to_model_input(batch);
    const double real = static_cast<double>(batch.sequence_length);
    const ModelLoss loss = alone.model().loss(input, {.per_token = 1.0 / real}, nn::Phase::Train);
    const double expected = layers_mean(loss.terms, [&](const BalanceTerm& term) {
      EXPECT_EQ(term.logsumexp_T.dtype(), DType::F32);
      double sum = 0.0;
      for (std::int64_t t = 0; t < batch.sequence_length; ++t) {
        const double value = term.logsumexp_T.value().to_vector()[static_cast<std::size_t>(t)];
        sum += value * value;
      }
      return sum / real;
    });
    EXPECT_NEAR(loss.z, expected, expected * testing::tolerance(DType::F32, 64));
  }
}

TEST_F(Rule6, LogitsOfZeroGiveTheSquareOfLogE) {
  Problem problem = testing::tiny_problem();
  Alone alone(problem);
  alone.model().for_each_parameter([](nn::Parameter& p) {
    if (p.kind() == ParameterKind::Router) p.master().fill(0.0);
  });
  const double log_e = std::log(static_cast<double>(problem.model.num_experts));
  EXPECT_NEAR(alone.trainer.step().result.z_loss, log_e * log_e,
              log_e * log_e * testing::tolerance(DType::F32, 64));
}

TEST_F(Rule9, SeveralRouterLossesAddUp) {
  const auto gradients = [](double balance, double z) {
    Problem problem = testing::tiny_problem();
    problem.dtype = DType::F64;
    problem.model.router_aux_loss_coef = balance;
    problem.model.router_z_loss_coef = z;
    Alone alone(problem);
    return alone.trainer.step().gradients;
  };
  const testing::Values none = gradients(0.0, 0.0);
  const testing::Values balance = gradients(0.3, 0.0);
  const testing::Values z = gradients(0.0, 0.2);
  const testing::Values both = gradients(0.3, 0.2);
  Problem problem = testing::tiny_problem();
  problem.dtype = DType::F64;
  testing::Values sum = none;
  double moved = 0.0;
  for (auto& [name, values] : sum) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      moved = std::max(moved, std::abs(z.at(name)[i] - none.at(name)[i]));
      values[i] = balance.at(name)[i] + z.at(name)[i] - none.at(name)[i];
    }
  }
  EXPECT_GT(moved, testing::tolerance(DType::F32, 64)) << "the z-loss has no gradient";
  testing::expect_equal(problem, both, sum);
}

}  // namespace
}  // namespace moe
