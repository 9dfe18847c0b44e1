// What accumulation changes and what it does not: dropless, it equals the large batch with the
// sequence loss, with no balance loss, and with the global loss over ranks; the micro-batch loss
// depends on the cut, by definition.
#include <gtest/gtest.h>

#include "base/format.h"
#include "dist/training.h"
#include "support/context_test.h"
#include "support/thread_ranks.h"

namespace moe {
namespace {

using testing::Outcome;
using testing::Problem;

class Accumulation : public testing::ContextTest {};

Problem cut_into(Problem problem, std::int64_t micro_batches) {
  const std::int64_t sequences = problem.global_batch();
  problem.readers = 1;
  problem.micro_batches = micro_batches;
  problem.micro_batch = sequences / micro_batches;
  return problem;
}

Problem eight_sequences(const char* balance) {
  Problem problem = testing::tiny_problem();
  problem.model.balance_loss = balance;
  problem.micro_batch = 8;
  return problem;
}

TEST_F(Accumulation, EqualsTheLargeBatch) {
  for (const char* balance : {"sequence", "none"}) {
    Problem large = eight_sequences(balance);
    const Outcome expected = testing::run_serial_with_clear_routing(large);
    for (const std::int64_t micro_batches : {2, 4, 8}) {
      SCOPED_TRACE(format("{} balance, {} micro-batches", balance, micro_batches));
      testing::expect_equal(large, testing::run_serial(cut_into(large, micro_batches)), expected);
    }
  }
}

TEST_F(Accumulation, GlobalBalanceOverRanksEqualsTheLargeBatch) {
  Problem large = eight_sequences("global");
  const Outcome expected = testing::run_serial_with_clear_routing(large);
  Problem spread = large;
  spread.readers = 4;
  spread.micro_batch = 2;
  for (const int expert : {1, 2, 4}) {
    testing::run_ranks(4, [&](comm::Group& world) {
      const Outcome outcome = testing::run_parallel(spread, world, expert);
      if (world.rank() == 0) testing::expect_equal(large, outcome, expected);
    });
  }
}

TEST_F(Accumulation, MicroBatchBalanceDependsOnTheCut) {
  const Problem large = eight_sequences("micro_batch");
  const double one = testing::run_serial(large).steps[0].result.balance_loss;
  const double four = testing::run_serial(cut_into(large, 4)).steps[0].result.balance_loss;
  EXPECT_GT(std::abs(one - four), one / 1000) << "small micro-batches are less balanced";
}

}  // namespace
}  // namespace moe
