#include "kernels/optim/adamw.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "kernels/everywhere.h"

namespace moe::kernels {
namespace {

using testing::Array;
using testing::everywhere;
using testing::expect_close;
using testing::kFloatTypes;

const std::vector<std::int64_t> kSizes = {0, 1, 7, 16, 33, 40001};
constexpr double kBeta1 = 0.9;
constexpr double kBeta2 = 0.95;
constexpr double kEpsilon = 1e-8;
constexpr double kDecay = 0.1;

struct Expected {
  std::vector<double> parameter;
  std::vector<double> moment1;
  std::vector<double> moment2;
};

Expected reference(const Array& p, const Array& g, const Array& m, const Array& v,
                   const Array& step) {
  Expected out;
  for (std::int64_t i = 0; i < p.size(); ++i) {
    const double gradient = g[i] * step[1];
    const double decayed = p[i] - step[0] * kDecay * p[i];
    const double first = kBeta1 * m[i] + (1 - kBeta1) * gradient;
    const double second = kBeta2 * v[i] + (1 - kBeta2) * gradient * gradient;
    out.moment1.push_back(first);
    out.moment2.push_back(second);
    out.parameter.push_back(decayed -
                            step[0] * (first / step[2]) / (std::sqrt(second / step[3]) + kEpsilon));
  }
  return out;
}

TEST(AdamW, UpdatesInOnePass) {
  for (const DType dtype : {DType::F32, DType::F64}) {
    for (const std::int64_t n : kSizes) {
      const Array p = Array::random(dtype, {n}, 1);
      const Array g = Array::random(dtype, {n}, 2);
      const Array m = Array::random(dtype, {n}, 3, 0.1);
      Array v = Array::random(dtype, {n}, 4, 0.1);
      for (std::int64_t i = 0; i < n; ++i) v.set(i, std::abs(v[i]));
      const Array step =
          Array::of(dtype, {4}, {1e-2, 0.5, 1 - std::pow(kBeta1, 3), 1 - std::pow(kBeta2, 3)});
      const Expected expected = reference(p, g, m, v, step);
      everywhere(
          std::string(to_string(dtype)) + " " + std::to_string(n),
          [&](Stream& stream) {
            std::vector<Array> state = {p, m, v, Array(DType::BF16, {n})};
            AdamW args{state[0].view(), g.view(), state[1].view(), state[2].view(), state[3].view(),
                       step.view(),     kBeta1,   kBeta2,          kEpsilon,        kDecay};
            adamw(stream, args);
            std::vector<Array> without_copy = {p, m, v};
            args.parameter = without_copy[0].view();
            args.moment1 = without_copy[1].view();
            args.moment2 = without_copy[2].view();
            args.compute_copy = {};
            adamw(stream, args);
            for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(same_bits(state[i], without_copy[i]));
            return state;
          },
          [&](const std::vector<Array>& out) {
            expect_close("parameter", out[0], expected.parameter);
            expect_close("moment1", out[1], expected.moment1);
            expect_close("moment2", out[2], expected.moment2);
            for (std::int64_t i = 0; i < n; ++i) {
              ASSERT_EQ(out[3][i], static_cast<float>(BFloat16(static_cast<float>(out[0][i]))));
            }
          });
    }
  }
}

TEST(AdamW, LeavesAParameterWithoutGradientOrMomentsToDecayAlone) {
  const Array g(DType::F32, {3});
  const Array step = Array::of(DType::F32, {4}, {0.5, 1, 0.1, 0.05});
  everywhere(
      "zero gradient",
      [&](Stream& stream) {
        Array p = Array::of(DType::F32, {3}, {1, -2, 0});
        Array m(DType::F32, {3});
        Array v(DType::F32, {3});
        adamw(stream, {p.view(),
                       g.view(),
                       m.view(),
                       v.view(),
                       {},
                       step.view(),
                       kBeta1,
                       kBeta2,
                       kEpsilon,
                       0.5});
        return std::vector<Array>{p};
      },
      [&](const std::vector<Array>& out) {
        EXPECT_EQ(out[0][0], 0.75);
        EXPECT_EQ(out[0][1], -1.5);
        EXPECT_EQ(out[0][2], 0.0);
      });
}

TEST(AdamW, RefusesMixedTypesAndSizes) {
  Stream stream(1, CpuIsa::Avx2);
  const Array a(DType::F32, {3});
  const Array step(DType::F32, {4});
  const Array wide(DType::F64, {3});
  const Array longer(DType::F32, {4});
  const View ok = a.view();
  EXPECT_THROW(adamw(stream, {ok, wide.view(), ok, ok, {}, step.view()}), DTypeError);
  EXPECT_THROW(adamw(stream, {ok, longer.view(), ok, ok, {}, step.view()}), ShapeError);
  EXPECT_THROW(adamw(stream, {ok, ok, ok, ok, ok, step.view()}), DTypeError);
}

TEST(SumSquares, AccumulatesInDouble) {
  for (const DType dtype : kFloatTypes) {
    for (const std::int64_t n : {0, 1, 17, 65537, 200000}) {
      const Array x = Array::random(dtype, {n}, 5, 1e-3);
      long double exact = 0;
      for (std::int64_t i = 0; i < n; ++i) exact += static_cast<long double>(x[i]) * x[i];
      everywhere(
          std::string(to_string(dtype)),
          [&](Stream& stream) {
            Array out(DType::F64, {1});
            sum_squares(stream, {x.view(), out.view()});
            return std::vector<Array>{out};
          },
          [&](const std::vector<Array>& out) {
            expect_close("sum", out[0], {static_cast<double>(exact)}, n, 0.0);
          });
    }
  }
}

TEST(CountNonFinite, CountsNanAndInfinity) {
  for (const DType dtype : kFloatTypes) {
    for (const std::int64_t n : {0, 1, 17, 70000}) {
      Array x = Array::random(dtype, {n}, 6, 1e30);
      std::int64_t bad = 0;
      for (std::int64_t i = 0; i < n; i += 16) {
        const double inf = std::numeric_limits<double>::infinity();
        x.set(i, i % 48 == 0 ? std::nan("") : (i % 48 == 16 ? inf : -inf));
        ++bad;
      }
      everywhere(
          std::string(to_string(dtype)),
          [&](Stream& stream) {
            Array out(DType::I64, {1});
            count_non_finite(stream, {x.view(), out.view()});
            return std::vector<Array>{out};
          },
          [&](const std::vector<Array>& out) { EXPECT_EQ(out[0][0], static_cast<double>(bad)); });
    }
  }
}

}  // namespace
}  // namespace moe::kernels
