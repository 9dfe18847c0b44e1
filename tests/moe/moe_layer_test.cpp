#include "moe/moe_layer.h"

#include "autograd/gradcheck.h"
#include "autograd/tape.h"
#include "base/format.h"
#include "support/context_test.h"
#include "support/expect_close.h"
#include "support/naive_moe.h"
#include "support/naive_transformer.h"

namespace moe {
namespace {

namespace naive = testing::naive;
using testing::random_tensor;

class MoeLayerTest : public testing::ContextTest {};

constexpr std::int64_t kWidth = 5;
constexpr std::int64_t kExperts = 4;
constexpr std::int64_t kHidden = 3;

struct Row {
  const char* name;
  std::int64_t tokens = 7, choices = 2;
  bool renormalize = true;
  std::int64_t shared = 0;
  bool gate = false;
  std::optional<double> capacity{};
};

const Row kRows[] = {
    {"plain"},
    {"not renormalised", 7, 2, false},
    {"one choice", 7, 1},
    {"every expert", 3, kExperts},
    {"shared expert", 7, 2, true, 6},
    {"gated shared expert", 7, 2, true, 6, true},
    {"capacity", 9, 2, true, 0, false, 0.7},
    {"capacity and shared", 9, 2, false, 6, true, 0.5},
    {"one token", 1, 2, true, 6, true},
    {"no tokens", 0, 2, true, 6, true},
};

MoeLayerSpec spec_of(const Row& row) {
  return {.name = "m",
          .layer = 5,
          .router = {.name = "m.router",
                     .width = kWidth,
                     .experts = kExperts,
                     .choices = row.choices,
                     .renormalize = row.renormalize,
                     .deviation = 1.5},
          .experts = {.name = "m.experts",
                      .experts = kExperts,
                      .width = kWidth,
                      .hidden = kHidden,
                      .deviation = 0.7,
                      .output_deviation = 0.8},
          .capacity_factor = row.capacity,
          .shared_hidden = row.shared,
          .shared_gated = row.gate};
}

struct Layer {
  explicit Layer(const MoeLayerSpec& spec) : layer(spec) {
    for (nn::Parameter* p : layer.parameters()) {
      p->materialize(DType::F64, 4);
      parameters[p->name()] = p;
    }
  }
  std::vector<double> values(const std::string& name) const {
    return parameters.at("m." + name)->master().to_vector();
  }
  MoeLayer layer;
  std::map<std::string, nn::Parameter*> parameters;
};

nn::ForwardContext context_of(std::int64_t tokens, nn::Phase phase = nn::Phase::Train) {
  nn::ForwardContext context;
  context.phase = phase;
  context.real_tokens = tokens;
  return context;
}

testing::NaiveMoe oracle(const Row& row, const Layer& layer, const Tensor& x, const Tensor& dy) {
  testing::NaiveMoe plain{.tokens = row.tokens,
                          .width = kWidth,
                          .experts = kExperts,
                          .choices = row.choices,
                          .hidden = kHidden,
                          .renormalize = row.renormalize};
  if (row.capacity) {
    plain.capacity = expert_capacity(row.tokens, row.choices, kExperts, *row.capacity);
  }
  plain.x = x.to_vector();
  plain.dy = dy.to_vector();
  plain.router = layer.values("router.weight");
  plain.gate_up = layer.values("experts.gate_up.weight");
  plain.down = layer.values("experts.down.weight");
  plain.run();
  return plain;
}

naive::Numbers shared_of(const Row& row, const Layer& layer, const naive::Numbers& x) {
  naive::Numbers y = naive::mlp(x, layer.values("shared.gate_up.weight"),
                                layer.values("shared.down.weight"), kWidth, true);
  if (!row.gate) return y;
  const naive::Numbers gate = naive::linear(x, layer.values("shared_gate.weight"), kWidth);
  for (std::size_t i = 0; i < y.size(); ++i) y[i] *= naive::sigmoid(gate[i / kWidth]);
  return y;
}

TEST_F(MoeLayerTest, EqualsThePlainLoopAndTheSharedExpertBesideIt) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.name);
    Layer layer(spec_of(row));
    const Tensor x = random_tensor("x", {row.tokens, kWidth});
    const Tensor dy = random_tensor("dy", {row.tokens, kWidth});
    const MoeLayer::Output output = layer.layer.forward(Variable(x), context_of(row.tokens));
    const testing::NaiveMoe plain = oracle(row, layer, x, dy);
    naive::Numbers expected = plain.y;
    if (row.shared > 0) expected = naive::add(expected, shared_of(row, layer, plain.x));
    EXPECT_TRUE(testing::close_to(output.y_TD.value(),
                                  Tensor::from(expected, x.shape(), DType::F64), DType::F64,
                                  kWidth * kHidden * kExperts));
    EXPECT_EQ(output.term.layer, 5);
    const auto chosen = output.term.chosen_TK.span<std::int32_t>();
    const auto kept = output.term.kept_TK.span<std::int32_t>();
    ASSERT_EQ(chosen.size(), plain.chosen.size());
    for (std::size_t r = 0; r < chosen.size(); ++r) {
      EXPECT_EQ(chosen[r], plain.chosen[r]);
      EXPECT_EQ(kept[r], plain.kept[r] ? plain.chosen[r] : -1);
    }
  }
}

TEST_F(MoeLayerTest, BackwardEqualsThePlainLoop) {
  for (const Row& row : kRows) {
    if (row.shared > 0) continue;
    SCOPED_TRACE(row.name);
    Layer layer(spec_of(row));
    const Variable x = Variable::input(random_tensor("x", {row.tokens, kWidth}));
    const Tensor dy = random_tensor("dy", {row.tokens, kWidth});
    Tape tape;
    Variable y;
    {
      const TapeScope scope(&tape);
      y = layer.layer.forward(x, context_of(row.tokens)).y_TD;
    }
    tape.backward({&y, 1}, {&dy, 1});
    const testing::NaiveMoe plain = oracle(row, layer, x.value(), dy);
    const auto close = [&](const Tensor& actual, const naive::Numbers& expected) {
      return testing::close_to(actual, Tensor::from(expected, actual.shape(), DType::F64),
                               DType::F64, kWidth * kHidden * kExperts * row.tokens);
    };
    EXPECT_TRUE(close(x.gradient(), plain.dx));
    EXPECT_TRUE(close(layer.parameters.at("m.router.weight")->gradient(), plain.drouter));
    EXPECT_TRUE(close(layer.parameters.at("m.experts.gate_up.weight")->gradient(), plain.dgate_up));
    EXPECT_TRUE(close(layer.parameters.at("m.experts.down.weight")->gradient(), plain.ddown));
  }
}

TEST_F(MoeLayerTest, BackwardThroughTheGatedSharedExpertIsTheDerivative) {
  Layer layer(spec_of({"", 3, 2, true, 2, true}));
  std::vector<Leaf*> leaves;
  for (const auto& [name, p] : layer.parameters) leaves.push_back(p);
  const Tensor x = random_tensor("x", {3, kWidth});
  EXPECT_EQ("", gradcheck(
                    [&](std::span<const Variable> in) {
                      return std::vector{layer.layer.forward(in[0], context_of(3)).y_TD};
                    },
                    {&x, 1}, leaves));
}

TEST_F(MoeLayerTest, CapacityIsTheFairShareTimesTheFactorRoundedUp) {
  struct Capacity {
    std::int64_t tokens, choices, experts;
    double factor;
    std::int64_t rows;
  };
  for (const Capacity& row : std::initializer_list<Capacity>{{8, 2, 4, 1.0, 4},
                                                             {9, 2, 4, 1.0, 5},
                                                             {8, 2, 4, 1.25, 5},
                                                             {8, 2, 4, 1.3, 6},
                                                             {8, 2, 4, 0.1, 1},
                                                             {1, 1, 64, 1.0, 1},
                                                             {0, 2, 4, 2.0, 0},
                                                             {1000003, 8, 128, 1.0, 62501}}) {
    EXPECT_EQ(expert_capacity(row.tokens, row.choices, row.experts, row.factor), row.rows)
        << row.tokens << " " << row.factor;
  }
}

std::int64_t dropped(const BalanceTerm& term) {
  std::int64_t count = 0;
  for (std::size_t r = 0; r < term.kept_TK.span<std::int32_t>().size(); ++r) {
    const std::int32_t kept = term.kept_TK.span<std::int32_t>()[r];
    count += kept != term.chosen_TK.span<std::int32_t>()[r] ? 1 : 0;
  }
  return count;
}

TEST_F(MoeLayerTest, EachPhaseHasItsOwnCapacity) {
  struct Phases {
    std::optional<double> train, evaluate;
  };
  // A factor of 0.5 keeps at most 4 x 2 of 16 routes; 8 keeps all.
  for (const Phases& row :
       std::initializer_list<Phases>{{{}, {}}, {0.5, {}}, {{}, 0.5}, {0.5, 8.0}, {8.0, 0.5}}) {
    MoeLayerSpec spec = spec_of({"", 8});
    spec.capacity_factor = row.train;
    spec.eval_capacity_factor = row.evaluate;
    Layer layer(spec);
    const Variable x(random_tensor("x", {8, kWidth}));
    const auto in = [&](nn::Phase phase) {
      return dropped(layer.layer.forward(x, context_of(8, phase)).term);
    };
    EXPECT_EQ(in(nn::Phase::Train) >= 8, row.train == 0.5);
    EXPECT_EQ(in(nn::Phase::Train) == 0, row.train != 0.5);
    EXPECT_EQ(in(nn::Phase::Evaluate) >= 8, row.evaluate == 0.5);
    EXPECT_EQ(in(nn::Phase::Evaluate) == 0, row.evaluate != 0.5);
  }
}

TEST_F(MoeLayerTest, CapacityCountsRealTokensOnly) {
  MoeLayerSpec spec = spec_of({"", 8, 1});
  spec.capacity_factor = 1.0;
  Layer layer(spec);
  const Tensor x = Tensor::full({8, kWidth}, DType::F64, 1.0);  // all choose the same expert
  nn::ForwardContext context = context_of(4);
  context.mask_T = Tensor::zeros({8}, DType::U8);
  for (std::size_t t = 4; t < 8; ++t) context.mask_T.span<std::uint8_t>()[t] = 1;
  const BalanceTerm term = layer.layer.forward(Variable(x), context).term;
  std::vector<bool> kept;
  for (const std::int32_t expert : term.kept_TK.span<std::int32_t>()) kept.push_back(expert >= 0);
  EXPECT_EQ(kept, (std::vector<bool>{false, false, false, false, true, false, false, false}))
      << "4 real tokens over 4 experts: one row";
}

TEST_F(MoeLayerTest, DropByWeightKeepsTheHeaviest) {
  MoeLayerSpec spec = spec_of({"", 8, 1, false});
  spec.capacity_factor = 1.0;  // two rows an expert
  const auto run = [&](bool by_weight) {
    spec.drop_by_weight = by_weight;
    Layer layer(spec);
    layer.parameters.at("m.router.weight")->master().fill(0.0);
    layer.parameters.at("m.router.weight")->master().window(2 * kWidth, {1}).fill(1.0);
    Tensor x = Tensor::zeros({8, kWidth}, DType::F64);
    // Expert 2 is everyone's choice; tokens 6 and 3 mean it most.
    const double score[] = {1.0, 1.5, 2.0, 3.0, 1.2, 1.1, 4.0, 2.5};
    for (std::size_t t = 0; t < 8; ++t) x.span<double>()[t * kWidth] = score[t];
    const BalanceTerm term = layer.layer.forward(Variable(x), context_of(8)).term;
    std::vector<std::size_t> kept;
    for (std::size_t t = 0; t < 8; ++t) {
      if (term.kept_TK.span<std::int32_t>()[t] >= 0) kept.push_back(t);
    }
    return kept;
  };
  EXPECT_EQ(run(false), (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(run(true), (std::vector<std::size_t>{3, 6}));
}

TEST_F(MoeLayerTest, DeclaresItsPartsByName) {
  const auto names = [](const Row& row) {
    MoeLayer layer(spec_of(row));
    std::vector<std::string> all;
    for (nn::Parameter* p : layer.parameters()) all.push_back(p->name());
    return all;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(names({"plain"}),
            (Names{"m.router.weight", "m.experts.gate_up.weight", "m.experts.down.weight"}));
  EXPECT_EQ(names({"gate", 7, 2, true, 6, true}),
            (Names{"m.router.weight", "m.experts.gate_up.weight", "m.experts.down.weight",
                   "m.shared.gate_up.weight", "m.shared.down.weight", "m.shared_gate.weight"}));
  MoeLayer layer(spec_of({"gate", 7, 2, true, 6, true}));
  const std::vector<nn::Parameter*> all = layer.parameters();
  EXPECT_EQ(all[3]->spec().shape, (Shape{2, 6, kWidth}));
  EXPECT_EQ(all[3]->spec().initializer.deviation, 0.7);
  EXPECT_EQ(all[4]->spec().shape, (Shape{kWidth, 6}));
  EXPECT_EQ(all[4]->spec().initializer.deviation, 0.8);
  EXPECT_EQ(all[5]->spec().shape, (Shape{1, kWidth}));
  for (std::size_t i = 3; i < 6; ++i) EXPECT_EQ(all[i]->kind(), ParameterKind::Mlp);
}

}  // namespace
}  // namespace moe
