#include "moe/balance_loss.h"

#include <cmath>

#include "autograd/tape.h"
#include "base/error.h"
#include "base/format.h"
#include "support/context_test.h"
#include "support/expect_close.h"
#include "support/thread_ranks.h"

namespace moe {
namespace {

using testing::random_tensor;

class Balance : public testing::ContextTest {};

constexpr std::int64_t kExperts = 5;
constexpr std::int64_t kChoices = 2;

/// One micro-batch: what routers left, who is padding, which document each token belongs to.
struct Micro {
  std::int64_t tokens = 0;
  std::vector<bool> real;
  std::vector<std::int32_t> group;
  std::int64_t groups = 1;
  std::vector<std::vector<double>> probability;   ///< per layer [T, E]
  std::vector<std::vector<std::int32_t>> chosen;  ///< per layer [T, K]; -1 for padding

  double real_tokens() const {
    return static_cast<double>(std::count(real.begin(), real.end(), true));
  }
};

struct Shape2 {
  std::int64_t tokens, layers;
  bool padded, grouped;
};

const Shape2 kShapes[] = {
    {7, 1, false, false}, {7, 3, false, true},  {9, 2, true, true},
    {8, 2, true, false},  {1, 2, false, false}, {0, 2, false, false},
};

Micro make_micro(const Shape2& shape, int which) {
  const Random random(3, format("micro {} {} {}", shape.tokens, shape.layers, which));
  Micro micro{.tokens = shape.tokens};
  std::uint64_t draw = 0;
  for (std::int64_t t = 0; t < shape.tokens; ++t) {
    micro.real.push_back(!shape.padded || t % 3 != 2);
    micro.group.push_back(static_cast<std::int32_t>(shape.grouped ? t / 3 : 0));
  }
  micro.groups = shape.grouped && shape.tokens > 0 ? micro.group.back() + 1 : 1;
  for (std::int64_t l = 0; l < shape.layers; ++l) {
    micro.probability.emplace_back();
    micro.chosen.emplace_back();
    for (std::int64_t t = 0; t < shape.tokens; ++t) {
      for (std::int64_t e = 0; e < kExperts; ++e)
        micro.probability.back().push_back(random.uniform(draw++));
      const auto first = static_cast<std::int32_t>(random.below(kExperts, draw++));
      const bool real = micro.real[static_cast<std::size_t>(t)];
      micro.chosen.back().push_back(real ? first : -1);
      micro.chosen.back().push_back(real ? (first + 2) % static_cast<std::int32_t>(kExperts) : -1);
    }
  }
  return micro;
}

BalanceInput input_of(const Micro& micro, const LossScale& scale) {
  BalanceInput input;
  for (std::size_t l = 0; l < micro.probability.size(); ++l) {
    BalanceTerm term;
    term.layer = static_cast<std::int64_t>(l);
    term.probability_TE =
        Variable::input(Tensor::from(micro.probability[l], {micro.tokens, kExperts}, DType::F64));
    term.chosen_TK = testing::ids(micro.chosen[l], {micro.tokens, kChoices});
    term.kept_TK = term.chosen_TK;
    input.terms.push_back(std::move(term));
  }
  input.group_T = testing::ids(micro.group, {micro.tokens});
  input.groups = micro.groups;
  if (std::find(micro.real.begin(), micro.real.end(), false) != micro.real.end()) {
    input.mask_T = Tensor::zeros({micro.tokens}, DType::U8);
    for (std::size_t t = 0; t < micro.real.size(); ++t)
      input.mask_T.span<std::uint8_t>()[t] = micro.real[t] ? 1 : 0;
  }
  input.real_tokens = static_cast<std::int64_t>(micro.real_tokens());
  input.scale = scale;
  return input;
}

std::size_t at(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

/// Scores of expert `e`, or routes to it, over the real tokens of one group (or all, -1).
double scores(const Micro& micro, std::size_t layer, std::int64_t e, std::int32_t group = -1) {
  double sum = 0.0;
  for (std::int64_t t = 0; t < micro.tokens; ++t) {
    if (micro.real[at(t)] && (group < 0 || micro.group[at(t)] == group))
      sum += micro.probability[layer][at(t * kExperts + e)];
  }
  return sum;
}

double routes(const Micro& micro, std::size_t layer, std::int64_t e, std::int32_t group = -1) {
  double count = 0.0;
  for (std::int64_t r = 0; r < micro.tokens * kChoices; ++r) {
    if (micro.chosen[layer][at(r)] == e && (group < 0 || micro.group[at(r / kChoices)] == group))
      count += 1.0;
  }
  return count;
}

/// Mean over layers of E / (K T C) * sum of S n; pooled: the sums over layers go into one such
/// product, over layers times as many tokens. `count(l, e)` is n, out of `all` tokens.
template <class Score, class Count>
double formula(std::size_t layers, bool pooled, double tokens, double all, const Score& score,
               const Count& count) {
  if (tokens == 0) return 0.0;
  const auto n = static_cast<double>(layers);
  double total = 0.0;
  for (std::int64_t e = 0; e < kExperts; ++e) {
    double all_scores = 0.0;
    double all_counts = 0.0;
    for (std::size_t l = 0; l < layers; ++l) {
      if (!pooled) total += score(l, e) * count(l, e) / (n * tokens * all);
      all_scores += score(l, e);
      all_counts += count(l, e);
    }
    if (pooled) total += all_scores * all_counts / (n * tokens * n * all);
  }
  return total * static_cast<double>(kExperts) / static_cast<double>(kChoices);
}

double micro_batch_loss(const Micro& m, bool pooled) {
  return formula(
      m.probability.size(), pooled, m.real_tokens(), m.real_tokens(),
      [&](auto l, auto e) { return scores(m, l, e); },
      [&](auto l, auto e) { return routes(m, l, e); });
}

double sequence_loss(const Micro& m, bool pooled, double per_token) {
  double total = 0.0;
  for (std::int32_t g = 0; g < m.groups; ++g) {
    double tokens = 0.0;
    for (std::int64_t t = 0; t < m.tokens; ++t)
      tokens += m.real[at(t)] && m.group[at(t)] == g ? 1.0 : 0.0;
    total += tokens * per_token *
             formula(
                 m.probability.size(), pooled, tokens, tokens,
                 [&](auto l, auto e) { return scores(m, l, e, g); },
                 [&](auto l, auto e) { return routes(m, l, e, g); });
  }
  return total;
}

const LossScale kScale{.per_target = 0.01, .per_token = 0.04, .per_micro_batch = 0.25};

std::unique_ptr<BalanceLoss> make(const std::string& type, bool pooled) {
  return make_balance_loss(
      {.type = type, .pool_layers = pooled, .experts = kExperts, .choices = kChoices});
}

double allowed(double value) {
  return std::max(1.0, std::abs(value)) * testing::tolerance(DType::F64, 64);
}

TEST_F(Balance, MicroBatchEqualsThePlainSums) {
  for (const bool pooled : {false, true}) {
    for (const Shape2& shape : kShapes) {
      SCOPED_TRACE(format("T {} L {} pooled {}", shape.tokens, shape.layers, pooled));
      const Micro micro = make_micro(shape, 0);
      RoutingSums sums;
      sums.begin_step();
      const double share =
          make("micro_batch", pooled)->share(input_of(micro, kScale), sums).value().item();
      const double expected = 0.25 * micro_batch_loss(micro, pooled);
      EXPECT_NEAR(share, expected, allowed(expected));
    }
  }
}

TEST_F(Balance, SequenceIsPerDocumentAndWeighsByTokens) {
  for (const bool pooled : {false, true}) {
    for (const Shape2& shape : kShapes) {
      SCOPED_TRACE(format("T {} L {} pooled {}", shape.tokens, shape.layers, pooled));
      const Micro micro = make_micro(shape, 0);
      RoutingSums sums;
      const double share =
          make("sequence", pooled)->share(input_of(micro, kScale), sums).value().item();
      const double expected = sequence_loss(micro, pooled, 0.04);
      EXPECT_NEAR(share, expected, allowed(expected));
    }
  }
}

TEST_F(Balance, SequenceWithoutDocumentsIsOneSequence) {
  const Micro micro = make_micro({9, 2, true, false}, 0);
  BalanceInput input = input_of(micro, kScale);
  input.group_T = Tensor();
  input.groups = 1;
  RoutingSums sums;
  const double expected = sequence_loss(micro, false, 0.04);
  EXPECT_NEAR(make("sequence", false)->share(input, sums).value().item(), expected,
              allowed(expected));
}

TEST_F(Balance, GlobalUsesTheMeanCountsOfTheMicroBatchesSoFar) {
  for (const bool pooled : {false, true}) {
    for (const Shape2& shape : kShapes) {
      SCOPED_TRACE(format("T {} L {} pooled {}", shape.tokens, shape.layers, pooled));
      const auto loss = make("global", pooled);
      RoutingSums sums;
      for (int step = 0; step < 2; ++step) {
        sums.begin_step();
        std::vector<Micro> seen;
        for (int m = 0; m < 3; ++m) {
          seen.push_back(make_micro(shape, 3 * step + m));
          const auto n = static_cast<double>(seen.size());
          double tokens = 0.0;
          for (const Micro& one : seen) tokens += one.real_tokens() / n;
          const Micro& now = seen.back();
          const double expected =
              0.25 * formula(
                         now.probability.size(), pooled, now.real_tokens(), tokens,
                         [&](auto l, auto e) { return scores(now, l, e); },
                         [&](auto l, auto e) {
                           double mean = 0.0;
                           for (const Micro& one : seen) mean += routes(one, l, e) / n;
                           return mean;
                         });
          const double share = loss->share(input_of(now, kScale), sums).value().item();
          EXPECT_NEAR(share, expected, allowed(expected)) << "micro-batch " << m;
        }
      }
    }
  }
}

TEST_F(Balance, GlobalSumsCountsOverTheGroup) {
  testing::run_ranks(3, [](comm::Group& group) {
    const Shape2 shape{8, 2, true, false};
    const auto sums = make_group_routing_sums(group);
    sums->begin_step();
    const Micro mine = make_micro(shape, group.rank());
    const double share = make("global", false)->share(input_of(mine, kScale), *sums).value().item();
    double tokens = 0.0;
    std::vector<Micro> all;
    for (int rank = 0; rank < 3; ++rank) {
      all.push_back(make_micro(shape, rank));
      tokens += all.back().real_tokens();
    }
    const double expected = 0.25 * formula(
                                       2, false, mine.real_tokens(), tokens,
                                       [&](auto l, auto e) { return scores(mine, l, e); },
                                       [&](auto l, auto e) {
                                         double sum = 0.0;
                                         for (const Micro& one : all) sum += routes(one, l, e);
                                         return sum;
                                       });
    EXPECT_NEAR(share, expected, allowed(expected));
  });
}

/// The loss is linear in the scores: the derivative by one of them is a difference quotient.
TEST_F(Balance, GradientFlowsToTheScoresOfRealTokensOnly) {
  for (const char* type : {"micro_batch", "sequence", "global"}) {
    for (const bool pooled : {false, true}) {
      SCOPED_TRACE(format("{} pooled {}", type, pooled));
      const Micro micro = make_micro({9, 2, true, true}, 0);
      const auto share = [&](const Micro& one) {
        RoutingSums sums;
        sums.begin_step();
        return make(type, pooled)->share(input_of(one, kScale), sums).value().item();
      };
      const BalanceInput input = input_of(micro, kScale);
      Tape tape;
      Variable loss;
      {
        const TapeScope scope(&tape);
        RoutingSums sums;
        sums.begin_step();
        loss = make(type, pooled)->share(input, sums);
      }
      tape.backward(loss);
      for (std::size_t l = 0; l < 2; ++l) {
        const std::vector<double> gradient = input.terms[l].probability_TE.gradient().to_vector();
        for (std::size_t i = 0; i < gradient.size(); ++i) {
          Micro moved = micro;
          moved.probability[l][i] += 1.0;
          const double expected = share(moved) - share(micro);
          ASSERT_NEAR(gradient[i], expected, allowed(share(micro))) << "layer " << l << " at " << i;
          if (!micro.real[i / kExperts]) {
            ASSERT_EQ(gradient[i], 0.0);
          }
        }
      }
    }
  }
}

TEST_F(Balance, NoneHasNoShare) {
  RoutingSums sums;
  const Micro micro = make_micro(kShapes[0], 0);
  EXPECT_FALSE(make("none", false)->share(input_of(micro, kScale), sums).defined());
}

TEST_F(Balance, RegistryNamesWhatItKnows) {
  EXPECT_EQ(balance_loss_names(),
            (std::vector<std::string>{"micro_batch", "sequence", "global", "none"}));
  try {
    make("batch", false);
    ADD_FAILURE() << "an unknown loss was made";
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("micro_batch, sequence, global, none"),
              std::string::npos)
        << error.what();
  }
}

TEST_F(Balance, ZLossIsTheMeanSquareOverLayersOfRealTokens) {
  for (const std::int64_t layers : {1, 3}) {
    for (const bool padded : {false, true}) {
      BalanceInput input;
      double expected = 0.0;
      for (std::int64_t l = 0; l < layers; ++l) {
        BalanceTerm term;
        term.logsumexp_T = Variable::input(random_tensor(format("z{}", l), {6}));
        const std::vector<double> z = term.logsumexp_T.value().to_vector();
        for (std::size_t t = 0; t < 6; ++t) {
          if (padded && t % 2 == 0) continue;
          expected += 0.04 * z[t] * z[t] / static_cast<double>(layers);
        }
        input.terms.push_back(std::move(term));
      }
      if (padded) {
        input.mask_T = Tensor::zeros({6}, DType::U8);
        for (const std::size_t t : {1U, 3U, 5U}) input.mask_T.span<std::uint8_t>()[t] = 1;
      }
      input.scale = kScale;
      Tape tape;
      Variable share;
      {
        const TapeScope scope(&tape);
        share = z_loss_share(input);
      }
      EXPECT_NEAR(share.value().item(), expected, allowed(expected));
      tape.backward(share);
      for (const BalanceTerm& term : input.terms) {
        const std::vector<double> z = term.logsumexp_T.value().to_vector();
        const std::vector<double> gradient = term.logsumexp_T.gradient().to_vector();
        for (std::size_t t = 0; t < 6; ++t) {
          const bool real = !padded || t % 2 == 1;
          const double want = real ? 2.0 * 0.04 * z[t] / static_cast<double>(layers) : 0.0;
          EXPECT_NEAR(gradient[t], want, allowed(want));
        }
      }
    }
  }
}

}  // namespace
}  // namespace moe
