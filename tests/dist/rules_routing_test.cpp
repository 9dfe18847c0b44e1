// Rules about routing and its numerics; docs/correctness.md lists them all.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "autograd/tape.h"
#include "base/format.h"
#include "dist/training.h"
#include "kernels/moe/sort_routes.h"
#include "moe/moe_layer.h"
#include "ops/grouped_linear.h"
#include "ops/rows.h"
#include "ops/top_k_router.h"
#include "support/context_test.h"
#include "support/expect_close.h"
#include "support/thread_ranks.h"
#include "train/model_input.h"

namespace moe {
namespace {

using testing::Problem;
using testing::random_tensor;
using testing::Trainer;

class Rule19 : public testing::ContextTest {};
class Rule20 : public testing::ContextTest {};
class Rule21 : public testing::ContextTest {};
class Rule22 : public testing::ContextTest {};
class Rule23 : public testing::ContextTest {};
class Rule25 : public testing::ContextTest {};
class Rule26 : public testing::ContextTest {};
class Rule27 : public testing::ContextTest {};

constexpr std::int64_t kWidth = 16;
constexpr std::int64_t kExperts = 8;

MoeLayerSpec layer_spec() {
  return {.name = "moe",
          .router = {.name = "moe.router",
                     .width = kWidth,
                     .experts = kExperts,
                     .choices = 2,
                     .deviation = 0.5},
          .experts = {.name = "moe.experts",
                      .experts = kExperts,
                      .width = kWidth,
                      .hidden = 8,
                      .deviation = 0.3,
                      .output_deviation = 0.3}};
}

MoeLayer& materialized(MoeLayer& layer, DType dtype) {
  for (nn::Parameter* p : layer.parameters()) p->materialize(dtype, 9);
  return layer;
}

nn::ForwardContext context_of(std::int64_t tokens) {
  nn::ForwardContext context;
  context.real_tokens = tokens;
  return context;
}

TEST_F(Rule19, RouterComputesInSinglePrecisionUnderBf16) {
  MoeLayer layer(layer_spec());
  materialized(layer, DType::BF16);
  const nn::Parameter& router = *layer.parameters()[0];
  EXPECT_EQ(router.value().dtype(), DType::F32);
  const Tensor x = random_tensor("x", {20, kWidth}, DType::BF16);
  const BalanceTerm term = layer.forward(Variable(x), context_of(20)).term;
  EXPECT_EQ(term.probability_TE.dtype(), DType::F32);
  EXPECT_EQ(term.logsumexp_T.dtype(), DType::F32);
  const std::vector<double> values = x.to_vector();
  const std::vector<double> w = router.value().to_vector();
  std::vector<double> expected;
  for (std::size_t t = 0; t < 20; ++t) {
    double sum = 0.0;
    for (std::size_t e = 0; e < kExperts; ++e) {
      double logit = 0.0;
      for (std::size_t d = 0; d < kWidth; ++d) logit += values[t * kWidth + d] * w[e * kWidth + d];
      expected.push_back(std::exp(logit));
      sum += expected.back();
    }
    for (std::size_t e = 0; e < kExperts; ++e) expected[t * kExperts + e] /= sum;
  }
  EXPECT_TRUE(testing::close_to(term.probability_TE.value(),
                                Tensor::from(expected, {20, kExperts}, DType::F64), DType::F32,
                                kWidth));
}

TEST_F(Rule19, CombineSumsInSinglePrecisionUnderBf16) {
  // In bf16 each of the small rows would vanish beside 256.
  const std::vector<double> rows{256.0, 1.0, 1.0, 1.0, 1.0};
  const ops::RowMap map{testing::ids({0, 0, 0, 0, 0}, {5}), testing::ids({0, 1, 2, 3, 4}, {1, 5})};
  const Variable x(Tensor::from(rows, {5, 1}, DType::BF16));
  EXPECT_EQ(ops::combine_rows(x, map).value().item(), 260.0);
}

TEST_F(Rule20, TiesGoToTheLowestExpertOnEveryInstructionSet) {
  for (const CpuIsa isa : available_cpu_isas()) {
    DeviceContext context(1, isa);
    const ContextScope scope(context);
    for (const std::int64_t experts : {2, 7, 8, 16, 33, 64}) {
      Tensor logits = Tensor::full({3, experts}, DType::F32, 0.25);
      logits.span<float>()[static_cast<std::size_t>(experts + experts - 1)] =
          1.0F;  // row 1: the last leads
      const ops::TopK top = ops::top_k_router(Variable(logits), 2, true);
      const auto chosen = top.expert.span<std::int32_t>();
      const auto last = static_cast<std::int32_t>(experts - 1);
      EXPECT_EQ(std::vector<std::int32_t>(chosen.begin(), chosen.end()),
                (std::vector<std::int32_t>{0, 1, last, 0, 0, 1}))
          << experts << " experts, " << to_string(isa);
    }
  }
}

TEST_F(Rule20, ARecomputedLayerRoutesTheSame) {
  Problem problem = testing::tiny_problem();
  problem.model.capacity_factor = 0.8;
  const testing::Outcome kept = testing::run_serial(problem);
  problem.recompute = true;
  testing::expect_same_bits(testing::run_serial(problem), kept);
}

TEST_F(Rule21, CapacityIsRoundedUpPerRanksMicroBatch) {
  EXPECT_EQ(expert_capacity(16, 2, 8, 1.0), 4);
  EXPECT_EQ(expert_capacity(17, 2, 8, 1.0), 5);
  EXPECT_EQ(expert_capacity(16, 2, 8, 1.25), 5);
  EXPECT_EQ(expert_capacity(1, 1, 8, 1.0), 1);
  EXPECT_EQ(expert_capacity(0, 2, 8, 2.0), 0);
  Problem problem = testing::tiny_problem();
  problem.model.capacity_factor = 0.5;  // 16 tokens: 2 rows an expert
  const testing::StepOutcome step = testing::run_serial(problem).steps[0];
  for (std::size_t layer = 0; layer < step.routed.size(); ++layer) {
    std::int64_t beyond = 0;
    for (const std::int64_t routed : step.routed[layer])
      beyond += std::max<std::int64_t>(0, routed - 2);
    EXPECT_EQ(step.dropped[layer], beyond);
    EXPECT_GT(beyond, 0);
  }
}

TEST_F(Rule21, FirstChoicesAreAdmittedBeforeSecondOnes) {
  const auto limited = [](std::vector<std::int32_t> experts, bool by_weight,
                          const std::vector<double>& weights) {
    const Shape shape{static_cast<std::int64_t>(experts.size()) / 2, 2};
    const Tensor expert_TK = testing::ids(experts, shape);
    const Tensor weight_TK = Tensor::from(weights, shape, DType::F32);
    kernels::limit_capacity(current_context().stream, {.expert = expert_TK.view(),
                                                       .weight = weight_TK.view(),
                                                       .experts = 3,
                                                       .capacity = 2,
                                                       .by_weight = by_weight});
    const auto kept = expert_TK.span<std::int32_t>();
    return std::vector<std::int32_t>(kept.begin(), kept.end());
  };
  const std::vector<double> weights{0.6, 0.4, 0.9, 0.1, 0.7, 0.3};
  // Expert 0: second choice of token 0, first of tokens 1 and 2.
  EXPECT_EQ(limited({1, 0, 0, 2, 0, 2}, false, weights),
            (std::vector<std::int32_t>{1, -1, 0, 2, 0, 2}));
  // Expert 0 is everyone's first choice: the last token, or the smallest weight, goes.
  EXPECT_EQ(limited({0, 1, 0, 2, 0, 2}, false, weights),
            (std::vector<std::int32_t>{0, 1, 0, 2, -1, 2}));
  EXPECT_EQ(limited({0, 1, 0, 2, 0, 2}, true, weights),
            (std::vector<std::int32_t>{-1, 1, 0, 2, 0, 2}));
}

TEST_F(Rule21, ADroppedRouteAddsNothingAndTheOthersKeepTheirWeights) {
  MoeLayerSpec spec = layer_spec();
  MoeLayer dropless(spec);
  spec.capacity_factor = 0.75;
  MoeLayer limited(spec);
  materialized(dropless, DType::F64);
  materialized(limited, DType::F64);
  const Tensor x = random_tensor("x", {16, kWidth});
  const MoeLayer::Output all = dropless.forward(Variable(x), context_of(16));
  const MoeLayer::Output some = limited.forward(Variable(x), context_of(16));
  const auto kept = some.term.kept_TK.span<std::int32_t>();
  int untouched = 0;
  int emptied = 0;
  for (std::size_t t = 0; t < 16; ++t) {
    const Tensor row = some.y_TD.value().narrow(static_cast<std::int64_t>(t), 1);
    if (kept[2 * t] >= 0 && kept[2 * t + 1] >= 0) {
      EXPECT_TRUE(testing::close_to(row, all.y_TD.value().narrow(static_cast<std::int64_t>(t), 1),
                                    DType::F64, 64));
      ++untouched;
    }
    if (kept[2 * t] < 0 && kept[2 * t + 1] < 0) {
      EXPECT_EQ(row.to_vector(), std::vector<double>(kWidth, 0.0));
      ++emptied;
    }
  }
  EXPECT_GT(untouched, 0);
  EXPECT_LT(untouched, 16);
  EXPECT_TRUE(testing::same_bits(some.term.chosen_TK, all.term.chosen_TK))
      << "balance counts what was chosen";
}

TEST_F(Rule22, PaddingCountsNowhere) {
  for (const bool capacity : {false, true}) {
    for (const std::string& balance : balance_loss_names()) {
      Problem problem = testing::tiny_problem();
      problem.dtype = DType::F64;
      problem.model.balance_loss = balance;
      if (capacity) problem.model.capacity_factor = 0.8;
      const auto group = comm::make_self_group();
      Trainer with(problem, *group, 1);
      data::StepBatches batches = with.next_batches();
      data::Batch& batch = batches.micro_batches[0];
      const std::int64_t length = batch.sequence_length;
      batch.sample_ids[1] = -1;
      for (std::int64_t t = length; t < 2 * length; ++t) {
        batch.targets_BS[static_cast<std::size_t>(t)] = data::kIgnoredTarget;
      }
      batches.target_count = batch.target_count = length;  // sample 0 counts all its targets
      const testing::StepOutcome padded = with.step(batches);

      problem.micro_batch = 1;  // the first sequence alone
      Trainer without(problem, *group, 1);
      const testing::StepOutcome expected = without.step();
      SCOPED_TRACE(format("{} {}", balance, capacity ? "capacity" : "dropless"));
      testing::expect_equal(problem, padded, expected);
    }
  }
}

TEST_F(Rule22, APaddingTokensOutputIsZero) {
  MoeLayer layer(layer_spec());
  materialized(layer, DType::F64);
  nn::ForwardContext context = context_of(2);
  context.mask_T = Tensor::full({3}, DType::U8, 1.0);
  context.mask_T.span<std::uint8_t>()[1] = 0;
  const MoeLayer::Output output = layer.forward(Variable(random_tensor("x", {3, kWidth})), context);
  EXPECT_EQ(output.y_TD.value().narrow(1, 1).to_vector(), std::vector<double>(kWidth, 0.0));
  EXPECT_EQ(output.term.chosen_TK.span<std::int32_t>()[2], -1);
}

TEST_F(Rule23, RenormalisedIsSoftmaxOverTheChosenAndPlainIsSoftmaxOverAll) {
  const std::vector<double> logits{0.5, 2.0, -1.0, 1.0};
  const Variable z(Tensor::from(logits, {1, 4}, DType::F64));
  double sum = 0.0;
  for (const double logit : logits) sum += std::exp(logit);
  const double chosen = std::exp(2.0) + std::exp(1.0);
  for (const bool renormalize : {true, false}) {
    const ops::TopK top = ops::top_k_router(z, 2, renormalize);
    const double divisor = renormalize ? chosen : sum;
    EXPECT_TRUE(testing::close_to(
        top.weight.value(),
        Tensor::from(std::vector<double>{std::exp(2.0) / divisor, std::exp(1.0) / divisor}, {1, 2},
                     DType::F64),
        DType::F64, 4));
    EXPECT_EQ(top.expert.span<std::int32_t>()[0], 1);
    EXPECT_EQ(top.expert.span<std::int32_t>()[1], 3);
  }
}

TEST_F(Rule25, FirstWeightsDoNotDependOnTheLayout) {
  Problem problem = testing::tiny_problem();
  problem.readers = 4;
  const auto alone = comm::make_self_group();
  const testing::Values expected = Trainer(problem, *alone, 1).gather_weights();
  for (const int expert : {1, 2, 4}) {
    testing::run_ranks(4, [&](comm::Group& world) {
      Trainer trainer(problem, world, expert);
      EXPECT_TRUE(trainer.gather_weights() == expected) << "expert " << expert;
    });
  }
}

TEST_F(Rule25, ExpertsAndLayersDiffer) {
  const auto alone = comm::make_self_group();
  const testing::Values weights = Trainer(testing::tiny_problem(), *alone, 1).gather_weights();
  std::vector<std::vector<double>> experts;
  for (const auto& [name, values] : weights) {
    if (name.find(".experts.down") == std::string::npos) continue;
    const auto size = static_cast<std::ptrdiff_t>(values.size()) / kExperts;
    for (std::ptrdiff_t e = 0; e < kExperts; ++e) {
      experts.emplace_back(values.begin() + e * size, values.begin() + (e + 1) * size);
    }
  }
  ASSERT_EQ(experts.size(), 2U * kExperts);
  for (std::size_t a = 0; a < experts.size(); ++a) {
    for (std::size_t b = 0; b < a; ++b) EXPECT_NE(experts[a], experts[b]) << a << " and " << b;
  }
}

TEST_F(Rule26, CombineSumsInChoiceOrder) {
  // f32: (1e8 - 1e8) + 1 = 1, but (1e8 + 1) - 1e8 = 0.
  const Variable x(Tensor::from(std::vector<double>{1e8, 1.0, -1e8}, {3, 1}, DType::F32));
  const auto sum = [&](std::vector<std::int32_t> order) {
    std::vector<std::int32_t> inverse = order;
    const ops::RowMap map{testing::ids({0, 0, 0}, {3}), testing::ids(inverse, {1, 3})};
    return ops::combine_rows(x, map).value().item();
  };
  EXPECT_EQ(sum({0, 2, 1}), 1.0);
  EXPECT_EQ(sum({0, 1, 2}), 0.0);
}

TEST_F(Rule26, TheNumberOfThreadsChangesNoBit) {
  const Tensor x = random_tensor("x", {600, kWidth}, DType::F32);
  std::vector<double> first;
  for (const int threads : {1, 2, 3}) {
    DeviceContext context(threads, detect_cpu_isa());
    const ContextScope scope(context);
    MoeLayer layer(layer_spec());
    materialized(layer, DType::F32);
    Tape tape;
    const Variable in = Variable::input(x);
    Variable y;
    {
      const TapeScope recording(&tape);
      y = layer.forward(in, context_of(600)).y_TD;
    }
    const Tensor dy = random_tensor("dy", {600, kWidth}, DType::F32);
    tape.backward({&y, 1}, {&dy, 1});
    Tensor all = Tensor::empty({2, 600, kWidth}, DType::F32);
    all.narrow(0, 1).copy_from(y.value().reshape({1, 600, kWidth}));
    all.narrow(1, 1).copy_from(in.gradient().reshape({1, 600, kWidth}));
    if (threads > 1) {
      EXPECT_EQ(all.to_vector(), first) << threads << " threads";
    } else {
      first = all.to_vector();
    }
  }
}

TEST_F(Rule27, RowsThatNoExpertReadsPoisonNothing) {
  for (const DType dtype : {DType::F32, DType::BF16, DType::F64}) {
    // Source row 1 is read by nobody: whatever it holds.
    Tensor source = random_tensor("x", {3, kWidth}, dtype);
    source.narrow(1, 1).fill(std::numeric_limits<double>::quiet_NaN());
    const ops::RowMap map{testing::ids({0, 2}, {2}), testing::ids({0, -1, 1}, {3, 1})};
    const Tensor offset = testing::ids({0, 1, 1, 2}, {4});
    const auto weight = testing::random_leaf("w", {3, 5, kWidth}, dtype);
    const Variable x = Variable::input(source);
    Tape tape;
    Variable y;
    {
      const TapeScope scope(&tape);
      y = ops::grouped_linear(x, &map, offset, *weight);
    }
    const Tensor dy = random_tensor("dy", {2, 5}, dtype);
    tape.backward({&y, 1}, {&dy, 1});
    const auto finite = [](const Tensor& tensor) {
      const std::vector<double> values = tensor.to_vector();
      return std::all_of(values.begin(), values.end(),
                         [](double value) { return std::isfinite(value); });
    };
    EXPECT_TRUE(finite(y.value())) << to_string(dtype);
    EXPECT_TRUE(finite(x.gradient())) << to_string(dtype);
    EXPECT_TRUE(finite(weight->gradient())) << to_string(dtype);
    EXPECT_EQ(x.gradient().narrow(1, 1).to_vector(), std::vector<double>(kWidth, 0.0));
    EXPECT_EQ(weight->gradient().narrow(1, 1).to_vector(), std::vector<double>(5 * kWidth, 0.0));
  }
}

}  // namespace
}  // namespace moe
