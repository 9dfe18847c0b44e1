#include "kernels/moe/balance.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "kernels/everywhere.h"

namespace moe::kernels {
namespace {

using testing::Array;
using testing::everywhere;
using testing::expect_close;

struct Case {
  std::int64_t tokens, experts, choices, groups;
  bool masked;
};
const std::vector<Case> kCases = {{0, 4, 2, 1, false},
                                  {1, 1, 1, 1, false},
                                  {9, 5, 2, 1, true},
                                  {40, 7, 3, 4, true},
                                  {33, 64, 8, 3, false}};

struct Problem {
  Problem(DType dtype, const Case& c)
      : probability(Array::random(dtype, {c.tokens, c.experts}, 1)),
        x(Array::random(dtype, {c.tokens}, 2, 3.0)),
        coefficient(Array::random(DType::F64, {c.groups, c.experts}, 3)),
        group(DType::I32, {c.tokens}),
        mask(DType::U8, {c.tokens}),
        expert(DType::I32, {c.tokens, c.choices}) {
    for (std::int64_t t = 0; t < c.tokens; ++t) {
      group.set(t, static_cast<double>(t % c.groups));
      mask.set(t, c.masked && t % 3 == 1 ? 0 : 1);
      for (std::int64_t k = 0; k < c.choices; ++k) {
        // Every expert is met, the first and the last too; some routes were dropped.
        const bool dropped = (t + k) % 5 == 4;
        expert.set(t * c.choices + k, dropped ? -1 : static_cast<double>((3 * t + k) % c.experts));
      }
    }
  }
  View group_or_none(const Case& c) const { return c.groups > 1 ? group.view() : View{}; }
  View mask_or_none(const Case& c) const { return c.masked ? mask.view() : View{}; }

  Array probability, x, coefficient, group, mask, expert;
};

TEST(WeightedScoreSum, SumsCoefficientsTimesScoresOfUnmaskedTokens) {
  for (const DType dtype : {DType::F32, DType::F64}) {
    for (const Case& c : kCases) {
      const Problem p(dtype, c);
      double expected = 0.0;
      std::vector<double> slope;
      for (std::int64_t t = 0; t < c.tokens; ++t) {
        for (std::int64_t e = 0; e < c.experts; ++e) {
          const auto g = static_cast<std::int64_t>(p.group[t]);
          slope.push_back(p.mask[t] * p.coefficient.at(g, e));
          expected += slope.back() * p.probability.at(t, e);
        }
      }
      const Array dout = Array::of(DType::F64, {1}, {-0.75});
      everywhere(
          std::string(to_string(dtype)) + " " + std::to_string(c.tokens),
          [&](Stream& stream) {
            Array out(DType::F64, {1});
            out.fill(99.0);
            weighted_score_sum(stream, {p.probability.view(), p.coefficient.view(),
                                        p.group_or_none(c), p.mask_or_none(c), out.view()});
            Array dprobability(dtype, {c.tokens, c.experts});
            dprobability.fill(99.0);
            weighted_score_sum_backward(
                stream, {p.coefficient.view(), p.group_or_none(c), p.mask_or_none(c), dout.view(),
                         dprobability.view()});
            return std::vector<Array>{out, dprobability};
          },
          [&](const std::vector<Array>& out) {
            expect_close("sum", out[0], {expected}, c.tokens * c.experts);
            std::vector<double> gradient = slope;
            for (double& value : gradient) value *= -0.75;
            expect_close("gradient", out[1], gradient);
          });
    }
  }
}

TEST(MaskedSquareSum, SumsSquaresOfUnmaskedTokens) {
  for (const DType dtype : {DType::F32, DType::F64}) {
    for (const Case& c : kCases) {
      const Problem p(dtype, c);
      double expected = 0.0;
      std::vector<double> gradient;
      for (std::int64_t t = 0; t < c.tokens; ++t) {
        expected += p.mask[t] * p.x[t] * p.x[t];
        gradient.push_back(p.mask[t] * 2.0 * p.x[t] * -0.75);
      }
      const Array dout = Array::of(DType::F64, {1}, {-0.75});
      everywhere(
          std::string(to_string(dtype)) + " " + std::to_string(c.tokens),
          [&](Stream& stream) {
            Array out(DType::F64, {1});
            out.fill(99.0);
            masked_square_sum(stream, {p.x.view(), p.mask_or_none(c), out.view()});
            Array dx(dtype, {c.tokens});
            dx.fill(99.0);
            masked_square_sum_backward(stream,
                                       {p.x.view(), p.mask_or_none(c), dout.view(), dx.view()});
            return std::vector<Array>{out, dx};
          },
          [&](const std::vector<Array>& out) {
            expect_close("sum", out[0], {expected}, c.tokens, 9.0);
            expect_close("gradient", out[1], gradient);
          });
    }
  }
}

TEST(CountRoutes, AddsRoutesByGroupAndExpert) {
  for (const Case& c : kCases) {
    const Problem p(DType::F32, c);
    std::vector<double> expected(static_cast<std::size_t>(c.groups * c.experts), 5.0);
    for (std::int64_t r = 0; r < c.tokens * c.choices; ++r) {
      const std::int64_t t = r / c.choices;
      if (p.mask[t] == 0 || p.expert[r] < 0) continue;
      const auto at = static_cast<std::int64_t>(p.group[t]) * c.experts +
                      static_cast<std::int64_t>(p.expert[r]);
      expected[static_cast<std::size_t>(at)] += 1.0;
    }
    everywhere(
        std::to_string(c.tokens),
        [&](Stream& stream) {
          Array count(DType::I64, {c.groups, c.experts});
          count.fill(5.0);  // what is there stays
          count_routes(stream,
                       {p.expert.view(), p.group_or_none(c), p.mask_or_none(c), count.view()});
          return std::vector<Array>{count};
        },
        [&](const std::vector<Array>& out) {
          for (std::size_t i = 0; i < expected.size(); ++i)
            EXPECT_EQ(out[0][static_cast<std::int64_t>(i)], expected[i]) << i;
        });
  }
}

TEST(Balance, RefusesTypesItDoesNotKnow) {
  const Problem p(DType::BF16, kCases[2]);
  Stream stream(1, available_cpu_isas().front());
  Array out(DType::F64, {1});
  EXPECT_THROW(
      weighted_score_sum(stream, {p.probability.view(), p.coefficient.view(), {}, {}, out.view()}),
      DTypeError);
  EXPECT_THROW(masked_square_sum(stream, {p.x.view(), {}, out.view()}), DTypeError);
}

}  // namespace
}  // namespace moe::kernels
