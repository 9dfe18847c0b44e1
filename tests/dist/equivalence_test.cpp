// Parallel equals serial: every data x expert factoring of 1, 2, 4 and 8 ranks trains as one rank
// does on the same micro-batches. Runs with thread ranks, and under mpirun with processes.
#include <gtest/gtest.h>

#include <ostream>

#include "base/format.h"
#include "dist/training.h"
#include "support/worlds.h"

namespace moe {
namespace {

using testing::Outcome;
using testing::Problem;

struct Row {
  int ranks;
  std::int64_t accumulation;
  bool capacity;
  std::string balance;
};

std::string name_of(const Row& row) {
  return format("ranks{}_accumulate{}_{}_{}", row.ranks, row.accumulation,
                row.capacity ? "capacity" : "dropless", row.balance);
}

void PrintTo(const Row& row, std::ostream* out) {
  *out << name_of(row);
}

std::vector<Row> rows() {
  std::vector<Row> table;
#ifdef MOE_MPI_TESTS
  const std::vector<int> worlds{testing::mpi_ranks()};
#else
  const std::vector<int> worlds{1, 2, 4, 8};
#endif
  for (const int ranks : worlds) {
    for (const std::int64_t accumulation : {1, 4}) {
      for (const bool capacity : {false, true}) {
        for (const std::string& balance : balance_loss_names()) {
          table.push_back({ranks, accumulation, capacity, balance});
        }
      }
    }
  }
  return table;
}

Problem problem_of(const Row& row) {
  Problem problem = testing::tiny_problem();
  problem.readers = row.ranks;
  problem.micro_batches = row.accumulation;
  problem.model.balance_loss = row.balance;
  if (row.capacity) problem.model.capacity_factor = 0.8;
  // Switches that must not matter, spread over the rows.
  const bool many = row.accumulation > 1;
  problem.model.tie_word_embeddings = many;
  problem.model.shared_expert_gate = row.capacity;
  problem.model.balance_pooling = many && row.capacity ? "model" : "layer";
  problem.recompute = many != row.capacity;
  problem.reducer.bucket_bytes = many ? 4096 : 25 << 20;
  return problem;
}

testing::WorldCase world_of(int ranks) {
#ifdef MOE_MPI_TESTS
  return {"mpi", ranks};
#else
  return {"thread", ranks};
#endif
}

/// Runs on every factoring; rank 0 compares with the serial run.
void check_all_factorings(Problem problem) {
  const int ranks = static_cast<int>(problem.readers);
  testing::run_world(world_of(ranks), [&](comm::Group& world) {
    Problem mine = problem;
    Outcome serial;
    if (world.rank() == 0) serial = testing::run_serial_with_clear_routing(mine);
    auto seed = static_cast<std::int64_t>(mine.seed);
    world.broadcast(View{&seed, DType::I64, 1, {1}, {1}}, 0).wait();
    mine.seed = static_cast<std::uint64_t>(seed);
    for (int expert = 1; expert <= ranks; expert *= 2) {
      SCOPED_TRACE(format("data {} x expert {}, seed {}", ranks, expert, mine.seed));
      const Outcome outcome = testing::run_parallel(mine, world, expert);
      if (world.rank() == 0) testing::expect_equal(mine, outcome, serial);
    }
  });
}

class Equivalence : public ::testing::TestWithParam<Row> {};

TEST_P(Equivalence, EveryFactoringTrainsAsOneRank) {
  check_all_factorings(problem_of(GetParam()));
}

std::string row_name(const ::testing::TestParamInfo<Row>& row) {
  return name_of(row.param);
}

INSTANTIATE_TEST_SUITE_P(Dist, Equivalence, ::testing::ValuesIn(rows()), &row_name);

/// In doubles nothing hides behind rounding.
class EquivalenceInDouble : public ::testing::TestWithParam<int> {};

TEST_P(EquivalenceInDouble, DropsBySmallestWeight) {
  Problem problem = problem_of({GetParam(), 4, true, "global"});
  problem.dtype = DType::F64;
  problem.model.drop_policy = "weight";
  problem.model.norm_topk_prob = false;
  // Equal tokens at the beginning of documents tie; so few are equal.
  problem.model.vocab_size = 400;
  check_all_factorings(problem);
}

TEST_P(EquivalenceInDouble, Dropless) {
  Problem problem = problem_of({GetParam(), 1, false, "sequence"});
  problem.dtype = DType::F64;
  check_all_factorings(problem);
}

#ifdef MOE_MPI_TESTS
INSTANTIATE_TEST_SUITE_P(Dist, EquivalenceInDouble, ::testing::Values(testing::mpi_ranks()));
#else
INSTANTIATE_TEST_SUITE_P(Dist, EquivalenceInDouble, ::testing::Values(2, 4, 8));
#endif

}  // namespace
}  // namespace moe
