// How the cost of a step grows, in one process:
//
//   step_bench [HIDDEN] [SEQUENCE_LENGTH] [STEPS]     (128, 128, 3)
//
// Each row changes one thing of the first: experts at fixed active parameters, tokens, sequence length, recomputation,
// ranks (threads of this process). Times are the least of STEPS and only printed, as ratios to the first row, which runs first.
// What no machine changes must hold, else the program ends with 1: matrix products run and memory asked of the system
// in a step, bytes of activations beside what --dry-run predicts, bytes summed over ranks.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/format.h"
#include "dist/training.h"
#include "model/counts.h"
#include "run/machine.h"
#include "run/memory_plan.h"
#include "support/call_counter.h"
#include "support/counting_group.h"
#include "support/thread_ranks.h"

namespace moe::bench {
namespace {

using testing::Problem;
using testing::Trainer;

struct Row {
  const char* name;
  std::function<void(Problem&)> change;
  int expert = 1;  ///< of `problem.readers` ranks
};

/// Of one step of rank 0, after the first ones.
struct Cost {
  double seconds = std::numeric_limits<double>::infinity();
  std::map<std::string, std::int64_t> calls;  ///< of kernels
  std::int64_t system_allocations = 0;
  std::int64_t activation_bytes = 0;
  std::int64_t gradient_sum_bytes = 0;
};

Problem first_problem(std::int64_t hidden, std::int64_t sequence_length) {
  Problem problem = testing::tiny_problem();
  ModelConfig& model = problem.model;
  model.vocab_size = 512;
  model.hidden_size = hidden;
  model.num_hidden_layers = 2;
  model.num_attention_heads = std::max<std::int64_t>(1, hidden / 32);
  model.num_key_value_heads = model.num_attention_heads;
  model.moe_intermediate_size = 2 * hidden;
  model.shared_expert_intermediate_size = 0;
  model.sparse_layers = "all";
  model.first_k_dense_replace = 0;
  model.max_position_embeddings = 2 * sequence_length;
  model.initializer_range = 0.02;
  problem.micro_batch = 4;
  problem.sequence_length = sequence_length;
  return problem;
}

const std::vector<Row>& rows() {
  static const std::vector<Row> all{
      {"8 experts, top-2", [](Problem&) {}},
      {"64 experts, top-2", [](Problem& p) { p.model.num_experts = 64; }},
      {"64 fine experts, top-8",
       [](Problem& p) {
         p.model.num_experts = 64;
         p.model.num_experts_per_tok = 8;
         p.model.moe_intermediate_size = *p.model.moe_intermediate_size / 4;
       }},
      {"twice the tokens", [](Problem& p) { p.micro_batch *= 2; }},
      {"twice the sequence",
       [](Problem& p) {
         p.micro_batch /= 2;
         p.sequence_length *= 2;
       }},
      {"recomputation", [](Problem& p) { p.recompute = true; }},
      {"data 2",
       [](Problem& p) {
         p.readers = 2;
         p.micro_batch /= 2;
       }},
      {"data 2, expert 2",
       [](Problem& p) {
         p.readers = 2;
         p.micro_batch /= 2;
       },
       2},
  };
  return all;
}

Cost measure(const Problem& problem, int expert, std::int64_t steps) {
  Cost cost;
  testing::run_ranks(static_cast<int>(problem.readers), [&](comm::Group& world) {
    testing::TrafficTable traffic;
    testing::CountingGroup counting(world, traffic);
    Trainer trainer(problem, counting, expert);
    metrics::Trace trace;
    Allocator& allocator = current_context().allocator;
    // Routing changes what ranks exchange; four steps have seen the sizes that recur.
    for (int warm = 0; warm < 4; ++warm) train::run_step(trainer.state(), trainer.next_batches(), nullptr, trace);
    const bool first = world.rank() == 0;
    const std::int64_t asked = allocator.system_allocations();
    for (std::int64_t step = 0; step < steps; ++step) {
      const data::StepBatches batches = trainer.next_batches();
      const Stopwatch watch;
      train::run_step(trainer.state(), batches, nullptr, trace);
      if (first) cost.seconds = std::min(cost.seconds, watch.seconds());
    }
    if (first) cost.system_allocations = allocator.system_allocations() - asked;
    traffic.clear();
    allocator.reset_peaks();
    testing::CallCounter counter;
    if (first) current_context().stream.observe(&counter);
    train::run_step(trainer.state(), trainer.next_batches(), nullptr, trace);
    current_context().stream.observe(nullptr);
    if (!first) return;
    cost.calls = counter.calls;
    cost.activation_bytes = allocator.account(MemoryCategory::Activations).peak_bytes;
    for (const auto& [what, sums] : traffic) {
      const bool gradients = what.starts_with("Sum") && what.ends_with("Grad sum");
      if (gradients) cost.gradient_sum_bytes += sums.bytes;
    }
  });
  return cost;
}

/// What --dry-run would say of it.
std::int64_t predicted_activations(const Problem& problem, int expert) {
  run::RunConfig config;
  config.model = problem.model;
  config.training.sequence_length = problem.sequence_length;
  config.training.micro_batch_size = problem.micro_batch;
  config.training.global_batch_size = problem.global_batch();
  config.training.recompute = problem.recompute;
  config.optimizer = problem.optimizer;
  const auto ranks = static_cast<int>(problem.readers);
  return run::plan_memory(config, mesh::MeshLayout({.data_replicate = ranks, .expert = expert}, ranks))[MemoryCategory::Activations];
}

/// Says what is not as it must be.
class Verdict {
 public:
  template <class T>
  void expect(bool holds, const char* row, const char* what, const T& expected, const T& found) {
    if (holds) return;
    std::printf("%s: %s: expected %s, found %s\n", row, what, format("{}", expected).c_str(), format("{}", found).c_str());
    good_ = false;
  }
  bool good() const { return good_; }

 private:
  bool good_ = true;
};

/// Every linear layer has one product forward and two backward; experts have two projections, so two grouped products
/// forward, two for their inputs' gradients and two for their weights'. A recomputed layer runs its forward once more.
void check_products(const Row& row, const Problem& problem, const Cost& cost, Verdict& verdict) {
  const std::int64_t layers = problem.model.num_hidden_layers;
  const std::int64_t again = problem.recompute ? 1 : 0;
  const auto calls = [&](const char* name) {
    const auto found = cost.calls.find(name);
    return found == cost.calls.end() ? 0 : found->second;
  };
  const auto check = [&](const char* name, std::int64_t expected) {
    verdict.expect(calls(name) == expected, row.name, name, expected, calls(name));
  };
  check("gemm", (3 + again) * 5 * layers);  // q, k, v, o, router
  check("grouped_gemm", (4 + 2 * again) * layers);
  check("grouped_gemm_weight", 2 * layers);
  check("lm_head gemm", 3);
}

void check(const Row& row, const Problem& problem, const Cost& cost, Verdict& verdict) {
  check_products(row, problem, cost, verdict);
  const bool alone = problem.readers == 1;
  // Ranks of an expert mesh hold what routing sends them, which no plan knows.
  if (alone) {
    verdict.expect(cost.system_allocations == 0, row.name, "memory asked of the system after warm-up", std::int64_t{0},
                   cost.system_allocations);
    const std::int64_t predicted = predicted_activations(problem, row.expert);
    const auto used = static_cast<double>(cost.activation_bytes);
    verdict.expect(used <= static_cast<double>(predicted) && static_cast<double>(predicted) <= 1.25 * used, row.name,
                   "activation bytes (at least 1 / 1.25 of the prediction)", predicted, cost.activation_bytes);
  } else {
    // All but the experts' on an expert mesh, in f32; each parameter begins a cache line.
    const ModelConfig& model = problem.model;
    const std::int64_t experts =
        3 * model.num_hidden_layers * model.num_experts * *model.moe_intermediate_size * model.hidden_size;
    const std::int64_t summed = count_parameters(model).total - (row.expert == 1 ? 0 : experts);
    verdict.expect(cost.gradient_sum_bytes >= 4 * summed && cost.gradient_sum_bytes <= 4 * summed + summed / 50, row.name,
                   "bytes of gradient sums (up to 0.5 % more)", 4 * summed, cost.gradient_sum_bytes);
  }
}

int run(std::int64_t hidden, std::int64_t sequence_length, std::int64_t steps) {
  double roof = 0.0;
  testing::run_ranks(1, [&](comm::Group&) { roof = run::measure_gemm_roof(); });
  Verdict verdict;
  std::printf("one thread a rank; GEMM roof of one thread %.1f GFLOP/s\n\n", 1e-9 * roof);
  std::printf("| %-22s | %10s | %14s | %12s | %18s | %12s |\n", "row", "ms a step", "time per token", "of the roof",
              "activations, B/tok", "predicted");
  double base = 0.0;
  for (const Row& row : rows()) {
    Problem problem = first_problem(hidden, sequence_length);
    row.change(problem);
    const Cost cost = measure(problem, row.expert, steps);
    const auto tokens = static_cast<double>(problem.global_batch() * problem.sequence_length);
    if (base == 0.0) base = cost.seconds / tokens;
    const double flops = tokens * training_flops_per_token(problem.model, problem.sequence_length);
    const double local = tokens / static_cast<double>(problem.readers);
    std::printf("| %-22s | %10.1f | %14.2f | %10.0f %% | %18.0f | %12.0f |\n", row.name, 1e3 * cost.seconds,
                cost.seconds / tokens / base, 100.0 * flops / cost.seconds / roof / static_cast<double>(problem.readers),
                static_cast<double>(cost.activation_bytes) / local,
                static_cast<double>(predicted_activations(problem, row.expert)) / local);
    std::fflush(stdout);
    check(row, problem, cost, verdict);
  }
  return verdict.good() ? 0 : 1;
}

}  // namespace
}  // namespace moe::bench

int main(int count, char** arguments) {
  const auto number = [&](int i, std::int64_t otherwise) {
    return count > i ? std::max<std::int64_t>(1, std::atoll(arguments[i])) : otherwise;
  };
  try {
    return moe::bench::run(number(1, 128), number(2, 128), number(3, 3));
  } catch (const moe::Error& error) {
    std::fprintf(stderr, "step_bench: %s\n", error.what());
    return 70;
  }
}
