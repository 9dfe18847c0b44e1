// Routings that are hard on a mixture of experts, on every expert layout: finite, and equal to a
// plain loop.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "autograd/tape.h"
#include "base/format.h"
#include "moe/all_to_all_dispatcher.h"
#include "moe/moe_layer.h"
#include "support/context_test.h"
#include "support/expect_close.h"
#include "support/naive_moe.h"
#include "support/thread_ranks.h"

namespace moe {
namespace {

constexpr std::int64_t kExperts = 4;
constexpr std::int64_t kWidth = 6;
constexpr std::int64_t kHidden = 3;

/// The router reads the first kExperts features: `score(rank, t, e)` is what it sees.
struct RoutingCase {
  const char* name;
  std::int64_t tokens;
  std::int64_t choices;
  std::function<double(int rank, std::int64_t t, std::int64_t e)> score;
  double capacity_factor = 0.0;  ///< 0: dropless
};

double mixed(int rank, std::int64_t t, std::int64_t e) {
  return std::sin(static_cast<double>(1 + 5 * rank + 3 * t + 7 * e));
}

const std::vector<RoutingCase>& routings() {
  static const std::vector<RoutingCase> table{
      {"mixed", 11, 2, &mixed},
      {"all tokens to one expert", 9, 1,
       [](int rank, std::int64_t t, std::int64_t e) {
         return (e == 2 ? 4.0 : 0.0) + mixed(rank, t, e);
       }},
      {"all tokens to one expert, capacity", 9, 1,
       [](int rank, std::int64_t t, std::int64_t e) {
         return (e == 2 ? 4.0 : 0.0) + mixed(rank, t, e);
       },
       1.0},
      {"an idle rank", 8, 2,
       [](int rank, std::int64_t t, std::int64_t e) {
         return (e < 2 ? 4.0 : 0.0) + mixed(rank, t, e);
       }},
      {"ties", 7, 2, [](int, std::int64_t, std::int64_t) { return 1.0; }},
      {"ties beyond the first", 7, 3,
       [](int, std::int64_t t, std::int64_t e) { return e == t % kExperts ? 1.0 : 0.25; }},
      {"fewer tokens than experts", 1, 2, &mixed},
      {"an expert without tokens", 10, 2,
       [](int rank, std::int64_t t, std::int64_t e) {
         return (e == 1 ? -9.0 : 0.0) + mixed(rank, t, e);
       }},
      {"every expert for every token", 5, kExperts, &mixed},
      {"nearly all dropped", 10, 2, &mixed, 0.2},
      {"no tokens", 0, 2, &mixed},
      {"overwhelming scores", 6, 2,
       [](int rank, std::int64_t t, std::int64_t e) { return 300.0 * mixed(rank, t, e); }},
  };
  return table;
}

Tensor input_of(const RoutingCase& routing, int rank) {
  Tensor x = testing::random_tensor(format("x{}", rank), {routing.tokens, kWidth});
  for (std::int64_t t = 0; t < routing.tokens; ++t) {
    for (std::int64_t e = 0; e < kExperts; ++e) {
      x.span<double>()[static_cast<std::size_t>(t * kWidth + e)] = routing.score(rank, t, e);
    }
  }
  return x;
}

MoeLayerSpec spec_of(const RoutingCase& routing) {
  MoeLayerSpec spec{.name = "moe",
                    .router = {.name = "moe.router",
                               .width = kWidth,
                               .experts = kExperts,
                               .choices = routing.choices},
                    .experts = {.name = "moe.experts",
                                .experts = kExperts,
                                .width = kWidth,
                                .hidden = kHidden,
                                .deviation = 0.6,
                                .output_deviation = 0.6}};
  if (routing.capacity_factor > 0) spec.capacity_factor = routing.capacity_factor;
  return spec;
}

/// The layer cut over `group`, its router reading scores off the input.
struct Layer {
  Layer(const RoutingCase& routing, DType dtype, comm::Group& group) : layer(spec_of(routing)) {
    RoleShares shares;
    shares[Role::Expert] = {group.size(), group.rank()};
    for (nn::Parameter* p : layer.parameters()) {
      p->place(shares);
      p->materialize(dtype, 3);
    }
    for (std::int64_t i = 0; i < kExperts; ++i)
      router().master().window(i * kWidth + i, {1}).fill(1.0);
    for (std::int64_t i = 0; i < kExperts * kWidth; ++i) {
      if (i % (kWidth + 1) != 0) router().master().window(i, {1}).fill(0.0);
    }
    if (group.size() > 1) layer.set_dispatcher(make_all_to_all_dispatcher(group));
  }
  nn::Parameter& router() { return *layer.parameters()[0]; }
  nn::Parameter& gate_up() { return *layer.parameters()[1]; }
  nn::Parameter& down() { return *layer.parameters()[2]; }
  MoeLayer layer;
};

/// The oracle over the tokens of every rank: each is a micro-batch of its own.
std::vector<testing::NaiveMoe> oracle(const RoutingCase& routing, int ranks) {
  const auto alone = comm::make_self_group();
  Layer whole(routing, DType::F64, *alone);
  std::vector<testing::NaiveMoe> results;
  for (int rank = 0; rank < ranks; ++rank) {
    testing::NaiveMoe naive{.tokens = routing.tokens,
                            .width = kWidth,
                            .experts = kExperts,
                            .choices = routing.choices,
                            .hidden = kHidden};
    if (routing.capacity_factor > 0) {
      naive.capacity =
          expert_capacity(routing.tokens, routing.choices, kExperts, routing.capacity_factor);
    }
    naive.x = input_of(routing, rank).to_vector();
    naive.dy = testing::random_tensor(format("dy{}", rank), {routing.tokens, kWidth}).to_vector();
    naive.router = whole.router().master().to_vector();
    naive.gate_up = whole.gate_up().master().to_vector();
    naive.down = whole.down().master().to_vector();
    naive.run();
    results.push_back(std::move(naive));
  }
  return results;
}

/// This rank's slice of the sum over ranks of a gradient.
std::vector<double> sliced_sum(const std::vector<testing::NaiveMoe>& all,
                               const nn::Parameter& parameter,
                               std::vector<double> testing::NaiveMoe::*gradient) {
  std::vector<double> sum;
  for (std::int64_t i = 0; i < parameter.slice().numel(); ++i) {
    const auto at = static_cast<std::size_t>(global_index(parameter.slice(), i));
    double total = 0.0;
    for (const testing::NaiveMoe& naive : all) total += (naive.*gradient)[at];
    sum.push_back(total);
  }
  return sum;
}

/// Relative to the largest element and to 1: gradients of tied scores cancel to rounding.
void expect_close(const char* what, const Tensor& actual, const std::vector<double>& expected,
                  DType dtype) {
  const std::vector<double> values = actual.to_vector();
  ASSERT_EQ(values.size(), expected.size()) << what;
  double scale = 1.0;
  for (const double value : expected) scale = std::max(scale, std::abs(value));
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_TRUE(std::isfinite(values[i])) << what << " element " << i;
    EXPECT_NEAR(values[i], expected[i], scale * testing::tolerance(dtype, 64 * kWidth))
        << what << " element " << i;
  }
}

void check(const RoutingCase& routing, DType dtype, comm::Group& group) {
  const std::vector<testing::NaiveMoe> all = oracle(routing, group.size());
  const testing::NaiveMoe& mine = all[static_cast<std::size_t>(group.rank())];
  Layer parallel(routing, dtype, group);
  for (nn::Parameter* p : parallel.layer.parameters()) {
    p->set_gradient(Tensor::full(p->slice().size, dtype, std::numeric_limits<double>::quiet_NaN()));
  }
  const Variable x = Variable::input(input_of(routing, group.rank()).to(dtype));
  nn::ForwardContext context;
  context.real_tokens = routing.tokens;
  Tape tape;
  Variable y;
  {
    const TapeScope scope(&tape);
    y = parallel.layer.forward(x, context).y_TD;
  }
  const Tensor dy = Tensor::from(mine.dy, {routing.tokens, kWidth}, dtype);
  tape.backward({&y, 1}, {&dy, 1});
  expect_close("y", y.value(), mine.y, dtype);
  expect_close("dx", x.gradient(), mine.dx, dtype);
  for (nn::Parameter* p : parallel.layer.parameters()) p->zero_unless_written();
  expect_close("experts' gate_up", parallel.gate_up().gradient(),
               sliced_sum(all, parallel.gate_up(), &testing::NaiveMoe::dgate_up), dtype);
  expect_close("experts' down", parallel.down().gradient(),
               sliced_sum(all, parallel.down(), &testing::NaiveMoe::ddown), dtype);
  // The router is a replica: its gradient over ranks is the reducer's business.
  expect_close("router", parallel.router().gradient(), mine.drouter, dtype);
}

class Routings : public ::testing::TestWithParam<int> {};

TEST_P(Routings, EqualAPlainLoopOverExperts) {
  for (const RoutingCase& routing : routings()) {
    for (const DType dtype : {DType::F64, DType::F32}) {
      SCOPED_TRACE(format("{}, {}", routing.name, to_string(dtype)));
      testing::run_ranks(GetParam(), [&](comm::Group& group) { check(routing, dtype, group); });
    }
  }
}

INSTANTIATE_TEST_SUITE_P(ExpertRanks, Routings, ::testing::Values(1, 2, 4));

}  // namespace
}  // namespace moe
