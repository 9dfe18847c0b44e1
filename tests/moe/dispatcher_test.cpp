// Every dispatcher keeps the contract of token_dispatcher.h, on one rank and on several.
#include <functional>

#include "autograd/gradcheck.h"
#include "autograd/tape.h"
#include "base/format.h"
#include "moe/all_to_all_dispatcher.h"
#include "moe/moe_layer.h"
#include "ops/linear.h"
#include "ops/rows.h"
#include "support/context_test.h"
#include "support/expect_close.h"
#include "support/thread_ranks.h"

namespace moe {
namespace {

using testing::random_tensor;

constexpr std::int64_t kExperts = 4;
constexpr std::int64_t kWidth = 3;

struct DispatcherCase {
  const char* name;
  int ranks;
  std::unique_ptr<TokenDispatcher> (*make)(comm::Group&);
};

/// One line per dispatcher and number of ranks.
const std::vector<DispatcherCase>& dispatchers() {
  static const std::vector<DispatcherCase> table{
      {"local", 1, [](comm::Group&) { return make_local_dispatcher(); }},
      {"all_to_all_1", 1, &make_all_to_all_dispatcher},
      {"all_to_all_2", 2, &make_all_to_all_dispatcher},
      {"all_to_all_4", 4, &make_all_to_all_dispatcher},
  };
  return table;
}

/// Chooses expert of route k of token t on a rank, or -1.
struct RoutingCase {
  const char* name;
  std::int64_t tokens;
  std::int64_t choices;
  std::function<std::int32_t(int rank, std::int64_t t, std::int64_t k)> expert;
  std::function<std::int64_t(int rank, std::int64_t tokens)> tokens_of =
      [](int, std::int64_t usual) { return usual; };
};

std::int32_t spread(int rank, std::int64_t t, std::int64_t k) {
  return static_cast<std::int32_t>((t * 7 + k * 5 + k + rank) % kExperts);
}

const std::vector<RoutingCase>& routings() {
  static const std::vector<RoutingCase> table{
      {"spread", 13, 2, &spread},
      {"one choice", 9, 1, &spread},
      {"every expert", 5, kExperts,
       [](int, std::int64_t t, std::int64_t k) {
         return static_cast<std::int32_t>((t + k) % kExperts);
       }},
      {"all to the first", 8, 1, [](int, std::int64_t, std::int64_t) { return 0; }},
      {"all to the last", 8, 1,
       [](int, std::int64_t, std::int64_t) { return static_cast<std::int32_t>(kExperts - 1); }},
      {"first half idle", 6, 2,
       [](int, std::int64_t t, std::int64_t k) {
         return static_cast<std::int32_t>(2 + (t + k) % 2);
       }},
      {"fewer tokens than experts", 1, 2, &spread},
      {"a rank without tokens", 7, 2, &spread,
       [](int rank, std::int64_t tokens) { return rank == 0 ? 0 : tokens; }},
      {"only one rank has tokens", 7, 2, &spread,
       [](int rank, std::int64_t tokens) { return rank == 0 ? tokens : 0; }},
      {"no tokens at all", 0, 2, &spread},
      {"some dropped", 9, 2,
       [](int rank, std::int64_t t, std::int64_t k) {
         return (t + k) % 3 == 0 ? -1 : spread(rank, t, k);
       }},
      {"all dropped", 4, 2, [](int, std::int64_t, std::int64_t) { return -1; }},
      {"all dropped on one rank", 4, 2,
       [](int rank, std::int64_t t, std::int64_t k) {
         return rank == 0 ? -1 : spread(rank, t, k);
       }},
  };
  return table;
}

Routing make_routing(const RoutingCase& routing, int rank) {
  const std::int64_t tokens = routing.tokens_of(rank, routing.tokens);
  std::vector<std::int32_t> experts;
  for (std::int64_t t = 0; t < tokens; ++t) {
    for (std::int64_t k = 0; k < routing.choices; ++k)
      experts.push_back(routing.expert(rank, t, k));
  }
  const Shape shape{tokens, routing.choices};
  return {
      testing::ids(experts, shape),
      Variable::input(Tensor::full(shape, DType::F64, 1.0 / static_cast<double>(routing.choices))),
      kExperts};
}

/// Experts that multiply by `scale(global expert)`, on dispatched rows; values only.
Variable scaling_experts(const Dispatched& dispatched, std::int64_t first,
                         const std::function<double(std::int64_t)>& scale) {
  Tensor rows = ops::gather_rows(dispatched.source_SD, dispatched.map).value().clone();
  const auto offset = dispatched.offset_e1.span<std::int32_t>();
  const auto weight = dispatched.weight_R.value().span<double>();
  for (std::size_t e = 0; e + 1 < offset.size(); ++e) {
    for (auto r = offset[e]; r < offset[e + 1]; ++r) {
      const auto row = rows.span<double>().subspan(static_cast<std::size_t>(r * kWidth), kWidth);
      for (double& value : row) {
        value *= weight[static_cast<std::size_t>(r)] * scale(first + static_cast<std::int64_t>(e));
      }
    }
  }
  EXPECT_EQ(offset.back(), rows.dim(0));
  return Variable(rows);
}

void on_each_case(
    const std::function<void(TokenDispatcher&, comm::Group&, const RoutingCase&)>& body) {
  for (const DispatcherCase& dispatcher : dispatchers()) {
    for (const RoutingCase& routing : routings()) {
      SCOPED_TRACE(format("{}, {}", dispatcher.name, routing.name));
      testing::run_ranks(dispatcher.ranks, [&](comm::Group& group) {
        const auto made = dispatcher.make(group);
        body(*made, group, routing);
      });
    }
  }
}

Variable run(TokenDispatcher& dispatcher, const Variable& x_TD, const Routing& routing,
             const std::function<double(std::int64_t)>& scale) {
  const auto out = dispatcher.start_dispatch(x_TD, routing);
  const Dispatched dispatched = dispatcher.finish_dispatch(out);
  const Variable rows = scaling_experts(dispatched, dispatcher.first_expert(kExperts), scale);
  return dispatcher.finish_combine(dispatcher.start_combine(rows, out));
}

/// sum over kept routes of weight * scale(expert), times x.
Tensor expected_output(const Tensor& x_TD, const Routing& routing,
                       const std::function<double(std::int64_t)>& scale) {
  Tensor y = Tensor::zeros(x_TD.shape(), DType::F64);
  const auto experts = routing.expert_TK.span<std::int32_t>();
  const auto choices = static_cast<std::size_t>(routing.expert_TK.dim(1));
  for (std::size_t i = 0; i < experts.size(); ++i) {
    if (experts[i] < 0) continue;
    for (std::size_t d = 0; d < kWidth; ++d) {
      y.span<double>()[i / choices * kWidth + d] += routing.weight_TK.value().span<double>()[i] *
                                                    scale(experts[i]) *
                                                    x_TD.span<double>()[i / choices * kWidth + d];
    }
  }
  return y;
}

TEST(Dispatcher, IdentityExpertsReturnTheTokens) {
  on_each_case([](TokenDispatcher& dispatcher, comm::Group& group, const RoutingCase& which) {
    const Routing routing = make_routing(which, group.rank());
    const Tensor x = random_tensor(format("x{}", group.rank()), {routing.expert_TK.dim(0), kWidth});
    const auto one = [](std::int64_t) { return 1.0; };
    const Tensor y = run(dispatcher, Variable(x), routing, one).value();
    EXPECT_TRUE(testing::close_to(y, expected_output(x, routing, one), DType::F64, 4));
    const auto experts = routing.expert_TK.span<std::int32_t>();
    if (std::ranges::find(experts, -1) == experts.end()) {
      EXPECT_TRUE(testing::close_to(y, x, DType::F64, 4));
    }
  });
}

TEST(Dispatcher, EveryRouteReachesItsOwnExpert) {
  on_each_case([](TokenDispatcher& dispatcher, comm::Group& group, const RoutingCase& which) {
    const Routing routing = make_routing(which, group.rank());
    const Tensor x = random_tensor(format("x{}", group.rank()), {routing.expert_TK.dim(0), kWidth});
    const auto scale = [](std::int64_t expert) { return static_cast<double>(1 + expert * expert); };
    EXPECT_TRUE(testing::close_to(run(dispatcher, Variable(x), routing, scale).value(),
                                  expected_output(x, routing, scale), DType::F64, 4));
    EXPECT_EQ(dispatcher.local_experts(kExperts) * group.size(), kExperts);
  });
}

TEST(Dispatcher, RowsOfAnExpertStandInGlobalTokenOrder) {
  on_each_case([](TokenDispatcher& dispatcher, comm::Group& group, const RoutingCase& which) {
    const Routing routing = make_routing(which, group.rank());
    std::vector<double> numbers;
    for (std::int64_t t = 0; t < routing.expert_TK.dim(0); ++t) {
      numbers.push_back(static_cast<double>(1000 * group.rank() + t));
    }
    const Variable x(Tensor::from(numbers, {routing.expert_TK.dim(0), 1}, DType::F64));
    const auto out = dispatcher.start_dispatch(x, routing);
    const Dispatched there = dispatcher.finish_dispatch(out);
    const std::vector<double> rows =
        ops::gather_rows(there.source_SD, there.map).value().to_vector();
    const auto offset = there.offset_e1.span<std::int32_t>();
    for (std::size_t e = 0; e + 1 < offset.size(); ++e) {
      for (auto r = offset[e] + 1; r < offset[e + 1]; ++r) {
        EXPECT_LT(rows[static_cast<std::size_t>(r - 1)], rows[static_cast<std::size_t>(r)]);
      }
    }
    dispatcher.finish_combine(dispatcher.start_combine(
        Variable(Tensor::zeros({there.map.row.dim(0), 1}, DType::F64)), out));
  });
}

MoeLayerSpec layer_spec() {
  return {.name = "moe",
          .router = {.name = "moe.router",
                     .width = kWidth,
                     .experts = kExperts,
                     .choices = 2,
                     .deviation = 1.5},
          .experts = {.name = "moe.experts",
                      .experts = kExperts,
                      .width = kWidth,
                      .hidden = 2,
                      .deviation = 0.7,
                      .output_deviation = 0.7},
          .shared_hidden = 2};
}

/// A layer whose experts are cut over `group`.
std::unique_ptr<MoeLayer> make_layer(const MoeLayerSpec& spec, comm::Group& group) {
  auto layer = std::make_unique<MoeLayer>(spec);
  RoleShares shares;
  shares[Role::Expert] = {group.size(), group.rank()};
  layer->for_each_parameter([&](nn::Parameter& parameter) {
    parameter.place(shares);
    parameter.materialize(DType::F64, 5);
  });
  if (group.size() > 1) layer->set_dispatcher(make_all_to_all_dispatcher(group));
  return layer;
}

double sum_over(comm::Group& group, double value) {
  group.all_reduce_sum(View{&value, DType::F64, 1, {1}, {1}}).wait();
  return value;
}

/// Derivatives by input, router, experts and shared expert, each rank's own copies; the shared
/// expert runs while rows travel.
void check_layer(const MoeLayerSpec& spec, int ranks, const std::vector<std::int64_t>& tokens,
                 bool recomputed) {
  testing::run_ranks(ranks, [&](comm::Group& group) {
    const auto layer = make_layer(spec, group);
    std::vector<Leaf*> leaves;
    layer->for_each_parameter([&](nn::Parameter& p) { leaves.push_back(&p); });
    const std::int64_t mine = tokens[static_cast<std::size_t>(group.rank())];
    const Tensor x = random_tensor(format("x{}", group.rank()), {mine, kWidth});
    nn::ForwardContext context;
    context.real_tokens = mine;
    const Segment segment = [&](std::span<const Variable> in) {
      const MoeLayer::Output output = layer->forward(in[0], context);
      return std::vector{output.y_TD, output.term.probability_TE, output.term.logsumexp_T};
    };
    GradcheckOptions options;
    options.rank = group.rank();
    options.ranks = group.size();
    options.sum = [&group](double value) { return sum_over(group, value); };
    const std::string disagreement = gradcheck(
        [&](std::span<const Variable> in) {
          return recomputed ? moe::recompute(segment, in) : segment(in);
        },
        {&x, 1}, leaves, options);
    EXPECT_EQ(disagreement, "") << "rank " << group.rank() << " of " << group.size();
  });
}

TEST(Dispatcher, BackwardThroughTheExchangeIsTheDerivative) {
  check_layer(layer_spec(), 1, {5}, false);
  check_layer(layer_spec(), 2, {4, 5}, false);
}

TEST(Dispatcher, BackwardIsTheDerivativeWhenRecomputed) {
  check_layer(layer_spec(), 2, {3, 4}, true);
}

TEST(Dispatcher, BackwardIsTheDerivativeWhenARankHasNoTokens) {
  check_layer(layer_spec(), 2, {0, 4}, false);
}

TEST(Dispatcher, BackwardIsTheDerivativeWhenRoutesAreDropped) {
  MoeLayerSpec spec = layer_spec();
  spec.capacity_factor = 0.6;
  check_layer(spec, 2, {5, 4}, false);
  spec.router.renormalize = false;
  spec.drop_by_weight = true;
  check_layer(spec, 2, {5, 4}, false);
}

}  // namespace
}  // namespace moe
