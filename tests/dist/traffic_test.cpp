// What a step moves between ranks, in figures that no machine changes: sums of gradients, rows to experts.
#include <gtest/gtest.h>

#include "base/format.h"
#include "dist/training.h"
#include "support/counting_group.h"
#include "support/thread_ranks.h"

namespace moe {
namespace {

using testing::CountingGroup;
using testing::Problem;
using testing::silence_routers;
using testing::Traffic;
using testing::TrafficTable;
using testing::Trainer;

constexpr std::int64_t kFloat = 4;

struct Layout {
  int ranks;
  int expert;
};

/// One step of a problem on a layout, seen by each rank.
void on_a_step(const Problem& problem, const Layout& layout,
               const std::function<void(Trainer&, const TrafficTable&, int rank)>& check) {
  testing::run_ranks(layout.ranks, [&](comm::Group& world) {
    TrafficTable table;
    CountingGroup counting(world, table);
    Trainer trainer(problem, counting, layout.expert);
    silence_routers(trainer);
    const data::StepBatches batches = trainer.next_batches();
    metrics::Trace trace;
    table.clear();
    train::run_step(trainer.state(), batches, nullptr, trace);
    check(trainer, table, world.rank());
  });
}

const Layout kLayouts[] = {{2, 1}, {2, 2}, {4, 2}, {4, 4}};

Problem problem_on(const Layout& layout, std::int64_t micro_batches) {
  Problem problem = testing::tiny_problem();
  problem.readers = layout.ranks;
  problem.micro_batches = micro_batches;
  return problem;
}

std::int64_t sum_of(const TrafficTable& table, const std::string& what) {
  const auto found = table.find(what);
  return found == table.end() ? 0 : found->second.bytes;
}

/// Once a step, however many micro-batches: every parameter's gradient in f32, cache line by cache line.
TEST(Traffic, EveryGradientIsSummedOnceAStep) {
  for (const Layout& layout : kLayouts) {
    for (const std::int64_t micro_batches : {1, 3}) {
      SCOPED_TRACE(format("{} ranks, expert {}, {} micro-batches", layout.ranks, layout.expert,
                          micro_batches));
      on_a_step(problem_on(layout, micro_batches), layout,
                [&](Trainer& trainer, const TrafficTable& table, int) {
                  std::int64_t dense = 0;
                  std::int64_t experts = 0;
                  for (const nn::Parameter* p : trainer.state().model->parameters()) {
                    (p->kind() == ParameterKind::Expert ? experts : dense) +=
                        (p->slice().numel() + 15) / 16 * 16 * kFloat;
                  }
                  // Experts that one rank alone holds need no sum; those that all hold are summed with the rest.
                  const bool alone = layout.expert == layout.ranks;
                  const bool by_all = layout.expert == 1;
                  EXPECT_EQ(sum_of(table, "SumReplicatedGrad sum"), by_all ? dense + experts : dense);
                  EXPECT_EQ(sum_of(table, "SumExpertGrad sum"), alone || by_all ? 0 : experts);
                });
    }
  }
}

/// Per sparse layer and micro-batch: rows and their weights out, results home, and the gradients of both back.
TEST(Traffic, EveryRoutedRowTravelsTwiceEachWay) {
  for (const Layout& layout : kLayouts) {
    if (layout.expert == 1) continue;
    for (const std::int64_t micro_batches : {1, 3}) {
      SCOPED_TRACE(format("{} ranks, expert {}, {} micro-batches", layout.ranks, layout.expert,
                          micro_batches));
      const Problem problem = problem_on(layout, micro_batches);
      const ModelConfig& m = problem.model;
      const std::int64_t rows =
          problem.micro_batch * problem.sequence_length * m.num_experts_per_tok;
      const std::int64_t out = m.hidden_size * kFloat + kFloat;  // a row and its weight
      const std::int64_t home = m.hidden_size * kFloat;
      on_a_step(problem, layout, [&](Trainer&, const TrafficTable& table, int rank) {
        // The first rank of a group owns what everybody chose: it sends results and what belongs to inputs' gradients.
        const bool owner = rank % layout.expert == 0;
        const std::int64_t others = rows * (layout.expert - 1);
        const std::int64_t counts = m.num_experts / layout.expert * (layout.expert - 1) * kFloat;
        const std::int64_t layer = counts + (owner ? others * (home + out) : rows * (out + home));
        EXPECT_EQ(sum_of(table, "ExchangeTokens all_to_all"),
                  micro_batches * m.sparse_layer_count() * layer);
      });
    }
  }
}

/// What ranks tell each other beside does not grow with the model or the tokens.
TEST(Traffic, TheRestIsAFewNumbers) {
  const Layout layout{4, 2};
  const auto rest = [&](const Problem& problem) {
    std::int64_t bytes = 0;
    on_a_step(problem, layout, [&](Trainer&, const TrafficTable& table, int rank) {
      if (rank != 0) return;
      for (const auto& [what, traffic] : table) {
        if (what != "SumReplicatedGrad sum" && what != "SumExpertGrad sum" &&
            what != "ExchangeTokens all_to_all") {
          bytes += traffic.bytes;
        }
      }
    });
    return bytes;
  };
  Problem problem = problem_on(layout, 1);
  const std::int64_t small = rest(problem);
  problem.micro_batch *= 4;
  problem.model.hidden_size *= 2;
  problem.model.moe_intermediate_size = 16;
  EXPECT_EQ(rest(problem), small);
  EXPECT_LT(small, 1024);
}

}  // namespace
}  // namespace moe
