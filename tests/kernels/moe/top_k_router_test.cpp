#include "kernels/moe/top_k_router.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "kernels/everywhere.h"

namespace moe::kernels {
namespace {

using testing::Array;
using testing::everywhere;
using testing::expect_close;

struct Case {
  DType dtype;
  std::int64_t tokens;
  std::int64_t experts;
  std::int64_t choices;
  bool renormalize;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const DType dtype : {DType::F32, DType::F64}) {
    for (const bool renormalize : {false, true}) {
      for (const Case& c :
           {Case{dtype, 0, 4, 2, renormalize}, Case{dtype, 1, 1, 1, renormalize},
            Case{dtype, 2, 8, 2, renormalize}, Case{dtype, 9, 8, 8, renormalize},
            Case{dtype, 700, 17, 3, renormalize}, Case{dtype, 65, 64, 1, renormalize},
            Case{dtype, 50, 512, 16, renormalize}}) {
        all.push_back(c);
      }
    }
  }
  return all;
}

std::string label(const Case& c) {
  return std::string(to_string(c.dtype)) + " T " + std::to_string(c.tokens) + " E " +
         std::to_string(c.experts) + " K " + std::to_string(c.choices);
}

struct Routed {
  std::vector<double> probability;
  std::vector<double> logsumexp;
  std::vector<std::int64_t> expert;
  std::vector<double> weight;
};

Routed reference(const Array& logits, const Case& c) {
  Routed out;
  for (std::int64_t t = 0; t < c.tokens; ++t) {
    double top = logits.at(t, 0);
    for (std::int64_t e = 0; e < c.experts; ++e) top = std::max(top, logits.at(t, e));
    double total = 0;
    for (std::int64_t e = 0; e < c.experts; ++e) total += std::exp(logits.at(t, e) - top);
    out.logsumexp.push_back(top + std::log(total));
    std::vector<std::int64_t> order(static_cast<std::size_t>(c.experts));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
      return logits.at(t, a) > logits.at(t, b);
    });
    for (std::int64_t e = 0; e < c.experts; ++e) {
      out.probability.push_back(std::exp(logits.at(t, e) - top) / total);
    }
    double mass = 0;
    for (std::int64_t k = 0; k < c.choices; ++k) {
      const std::int64_t e = order[static_cast<std::size_t>(k)];
      out.expert.push_back(e);
      mass += std::exp(logits.at(t, e) - top) / total;
    }
    for (std::int64_t k = 0; k < c.choices; ++k) {
      const std::int64_t e = order[static_cast<std::size_t>(k)];
      out.weight.push_back(std::exp(logits.at(t, e) - top) / total / (c.renormalize ? mass : 1));
    }
  }
  return out;
}

/// probability, logsumexp, expert, weight.
std::vector<Array> run_router(Stream& stream, const Array& logits, const Case& c) {
  Array probability(c.dtype, {c.tokens, c.experts});
  Array logsumexp(c.dtype, {c.tokens});
  Array expert(DType::I32, {c.tokens, c.choices});
  Array weight(c.dtype, {c.tokens, c.choices});
  top_k_router(stream, {logits.view(), probability.view(), logsumexp.view(), expert.view(),
                        weight.view(), c.renormalize});
  return {probability, logsumexp, expert, weight};
}

void check_forward(const Case& c, const Array& logits) {
  const Routed expected = reference(logits, c);
  everywhere(
      label(c), [&](Stream& stream) { return run_router(stream, logits, c); },
      [&](const std::vector<Array>& out) {
        expect_close("probability", out[0], expected.probability, c.experts);
        expect_close("logsumexp", out[1], expected.logsumexp, c.experts);
        for (std::int64_t i = 0; i < out[2].size(); ++i) {
          ASSERT_EQ(out[2][i], expected.expert[static_cast<std::size_t>(i)]) << "route " << i;
        }
        expect_close("weight", out[3], expected.weight, c.experts);
      });
}

TEST(TopKRouter, SelectsAndWeighsTheLargest) {
  for (const Case& c : cases()) {
    // Distinct multiples of 1/64, shuffled: no accidental ties.
    Array logits(c.dtype, {c.tokens, c.experts});
    for (std::int64_t i = 0; i < logits.size(); ++i) {
      const std::int64_t t = i / c.experts;
      const std::int64_t e = i % c.experts;
      const std::int64_t step = c.experts % 2 == 0 ? 2 * t + 1 : 1;  // odd: a permutation of 2^n
      logits.set(i, static_cast<double>((e * step + t) % c.experts) / 64.0 - 1.0);
    }
    check_forward(c, logits);
  }
}

TEST(TopKRouter, GivesTiesToTheLowerExpert) {
  for (const Case& c : cases()) {
    Array logits(c.dtype, {c.tokens, c.experts});
    check_forward(c, logits);  // all equal: experts 0..K-1
    for (std::int64_t i = 0; i < logits.size(); ++i) {
      logits.set(i, static_cast<double>(i * 7 % c.experts % 3));
    }
    check_forward(c, logits);
  }
}

TEST(TopKRouter, TakesLargeAndInfiniteLogits) {
  const double inf = std::numeric_limits<double>::infinity();
  const Case c{DType::F32, 2, 4, 2, true};
  const Array logits = Array::of(c.dtype, {2, 4}, {1e30, -1e30, 0, 1e29, -inf, 3, -inf, 2});
  everywhere(
      label(c), [&](Stream& stream) { return run_router(stream, logits, c); },
      [&](const std::vector<Array>& out) {
        EXPECT_EQ(out[2][0], 0);
        EXPECT_EQ(out[2][2], 1);
        EXPECT_EQ(out[2][3], 3);
        EXPECT_EQ(out[3][0], 1.0);
        EXPECT_EQ(out[0][4], 0.0);
      });
}

TEST(TopKRouter, SurvivesNan) {
  const Case c{DType::F32, 3, 19, 4, true};
  Array logits = Array::random(c.dtype, {c.tokens, c.experts}, 1);
  logits.set(19 + 5, std::nan(""));
  everywhere(
      label(c), [&](Stream& stream) { return run_router(stream, logits, c); },
      [&](const std::vector<Array>& out) {
        EXPECT_TRUE(std::isnan(out[3][4]));
        EXPECT_FALSE(std::isnan(out[3][0]));
        for (std::int64_t i = 0; i < out[2].size(); ++i) {
          EXPECT_GE(out[2][i], 0);
          EXPECT_LT(out[2][i], 19);
        }
      });
}

/// dlogits by the chain rule through explicit Jacobians.
std::vector<double> reference_backward(const std::vector<Array>& routed, const Array& dweight,
                                       const Array& dprobability, const Array& dlogsumexp,
                                       const Case& c) {
  const Array& p = routed[0];
  std::vector<double> dlogits;
  for (std::int64_t t = 0; t < c.tokens; ++t) {
    std::vector<double> dp(static_cast<std::size_t>(c.experts));
    double mass = 0;
    for (std::int64_t k = 0; k < c.choices; ++k) {
      mass += p.at(t, static_cast<std::int64_t>(routed[2].at(t, k)));
    }
    for (std::int64_t e = 0; e < c.experts; ++e)
      dp[static_cast<std::size_t>(e)] = dprobability.at(t, e);
    for (std::int64_t k = 0; k < c.choices; ++k) {
      for (std::int64_t j = 0; j < c.choices; ++j) {
        // d weight_j / d p_k
        const auto at = static_cast<std::int64_t>(routed[2].at(t, k));
        const double p_j = p.at(t, static_cast<std::int64_t>(routed[2].at(t, j)));
        const double same = k == j ? 1.0 : 0.0;
        const double slope = c.renormalize ? same / mass - p_j / (mass * mass) : same;
        dp[static_cast<std::size_t>(at)] += dweight.at(t, j) * slope;
      }
    }
    for (std::int64_t e = 0; e < c.experts; ++e) {
      double d = dlogsumexp[t] * p.at(t, e);
      for (std::int64_t f = 0; f < c.experts; ++f) {
        const double same = e == f ? 1.0 : 0.0;
        d += dp[static_cast<std::size_t>(f)] * p.at(t, f) * (same - p.at(t, e));
      }
      dlogits.push_back(d);
    }
  }
  return dlogits;
}

TEST(TopKRouterBackward, IsTheDerivative) {
  for (const Case& c : cases()) {
    const Array logits = Array::random(c.dtype, {c.tokens, c.experts}, 3);
    const Array dweight = Array::random(c.dtype, {c.tokens, c.choices}, 4);
    const Array dprobability = Array::random(c.dtype, {c.tokens, c.experts}, 5);
    const Array dlogsumexp = Array::random(c.dtype, {c.tokens}, 6);
    Stream first(1, CpuIsa::Avx2);
    const std::vector<Array> routed = run_router(first, logits, c);
    const std::vector<double> all =
        reference_backward(routed, dweight, dprobability, dlogsumexp, c);
    const Array no_dprobability(c.dtype, {c.tokens, c.experts});
    const Array no_dlogsumexp(c.dtype, {c.tokens});
    const std::vector<double> plain =
        reference_backward(routed, dweight, no_dprobability, no_dlogsumexp, c);
    everywhere(
        label(c),
        [&](Stream& stream) {
          Array with(c.dtype, {c.tokens, c.experts});
          Array without(c.dtype, {c.tokens, c.experts});
          TopKRouterBackward args{routed[0].view(), routed[2].view(),    routed[3].view(),
                                  dweight.view(),   dprobability.view(), dlogsumexp.view(),
                                  with.view(),      c.renormalize};
          top_k_router_backward(stream, args);
          args.dprobability = {};
          args.dlogsumexp = {};
          args.dlogits = without.view();
          top_k_router_backward(stream, args);
          return std::vector<Array>{with, without};
        },
        [&](const std::vector<Array>& out) {
          expect_close("with all", out[0], all, c.experts);
          expect_close("weights only", out[1], plain, c.experts);
        });
  }
}

TEST(TopKRouterBackward, SkipsDroppedRoutes) {
  const Case c{DType::F64, 2, 4, 2, false};
  const Array logits = Array::random(c.dtype, {2, 4}, 7);
  Array dweight = Array::random(c.dtype, {2, 2}, 8);
  Stream first(1, CpuIsa::Avx2);
  std::vector<Array> routed = run_router(first, logits, c);
  dweight.set(1, 0.0);
  dweight.set(2, 0.0);
  const Array zero_p(c.dtype, {2, 4});
  const Array zero_l(c.dtype, {2});
  const std::vector<double> expected = reference_backward(routed, dweight, zero_p, zero_l, c);
  dweight.set(1, 100.0);
  dweight.set(2, 100.0);
  routed[2].set(1, -1);
  routed[2].set(2, -1);
  everywhere(
      "dropped",
      [&](Stream& stream) {
        Array out(c.dtype, {2, 4});
        top_k_router_backward(stream, {routed[0].view(),
                                       routed[2].view(),
                                       routed[3].view(),
                                       dweight.view(),
                                       {},
                                       {},
                                       out.view(),
                                       false});
        return std::vector<Array>{out};
      },
      [&](const std::vector<Array>& out) { expect_close("dlogits", out[0], expected, 4); });
}

/// The score of a lone expert is 1 whatever its logit.
TEST(TopKRouterBackward, GivesExactZerosToALoneExpert) {
  for (const bool renormalize : {false, true}) {
    const Case c{DType::F32, 50, 1, 1, renormalize};
    Stream first(1, CpuIsa::Avx2);
    const std::vector<Array> routed = run_router(first, Array::random(c.dtype, {50, 1}, 3), c);
    const Array dweight = Array::random(c.dtype, {50, 1}, 4);
    const Array dprobability = Array::random(c.dtype, {50, 1}, 5);
    everywhere(
        label(c),
        [&](Stream& stream) {
          Array out(c.dtype, {50, 1});
          top_k_router_backward(stream, {routed[0].view(),
                                         routed[2].view(),
                                         routed[3].view(),
                                         dweight.view(),
                                         dprobability.view(),
                                         {},
                                         out.view(),
                                         renormalize});
          return std::vector<Array>{out};
        },
        [&](const std::vector<Array>& out) {
          for (std::int64_t i = 0; i < out[0].size(); ++i) ASSERT_EQ(out[0][i], 0.0);
        });
  }
}

TEST(TopKRouter, RefusesMoreChoicesThanExperts) {
  Stream stream(1, CpuIsa::Avx2);
  EXPECT_THROW(run_router(stream, Array(DType::F32, {2, 3}), {DType::F32, 2, 3, 4, false}),
               ShapeError);
  EXPECT_THROW(run_router(stream, Array(DType::BF16, {2, 3}), {DType::BF16, 2, 3, 2, false}),
               DTypeError);
}

}  // namespace
}  // namespace moe::kernels
