#include "kernels/elementwise/activation.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "kernels/everywhere.h"

namespace moe::kernels {
namespace {

using testing::Array;
using testing::everywhere;
using testing::expect_close;
using testing::wide;

/// Rounded steps in a formula's chain; their errors add like those of a sum.
constexpr std::int64_t kSteps = 16;
/// Weight, gradient, gate and the slope's inner factor multiply what was rounded before them.
constexpr double kFactors = 16.0;
constexpr double kPi = 3.14159265358979323846;

double act(ActivationKind kind, double x) {
  switch (kind) {
    case ActivationKind::Silu:
      return x / (1 + std::exp(-x));
    case ActivationKind::GeluErf:
      return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    case ActivationKind::GeluTanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / kPi) * (x + 0.044715 * x * x * x)));
    case ActivationKind::Relu2:
      return x > 0 ? x * x : 0;
  }
  return 0;
}

double slope(ActivationKind kind, double x) {
  switch (kind) {
    case ActivationKind::Silu: {
      const double s = 1 / (1 + std::exp(-x));
      return s * (1 + x * (1 - s));
    }
    case ActivationKind::GeluErf:
      return 0.5 * std::erfc(-x / std::sqrt(2.0)) + x * std::exp(-x * x / 2) / std::sqrt(2 * kPi);
    case ActivationKind::GeluTanh: {
      const double u = std::sqrt(2 / kPi) * (x + 0.044715 * x * x * x);
      const double du = std::sqrt(2 / kPi) * (1 + 3 * 0.044715 * x * x);
      return 0.5 * (1 + std::tanh(u)) + 0.5 * x * du / (std::cosh(u) * std::cosh(u));
    }
    case ActivationKind::Relu2:
      return x > 0 ? 2 * x : 0;
  }
  return 0;
}

struct Case {
  DType dtype;
  ActivationKind kind;
  bool gated;
  bool weighted;
};

struct Expected {
  std::vector<double> out;
  std::vector<double> dx;
  std::vector<double> dweight;
};

Expected reference(const Case& c, const Array& x, const Array& weight, const Array& dout,
                   std::int64_t rows, std::int64_t columns) {
  Expected e;
  e.dx.resize(static_cast<std::size_t>(x.size()));
  const std::int64_t stride = c.gated ? 2 * columns : columns;
  for (std::int64_t r = 0; r < rows; ++r) {
    const double w = c.weighted ? weight[r] : 1.0;
    long double dot = 0;
    for (std::int64_t f = 0; f < columns; ++f) {
      const double a = x[r * stride + f];
      const double gate = c.gated ? x[r * stride + columns + f] : 1.0;
      const double d = dout[r * columns + f];
      e.out.push_back(w * act(c.kind, a) * gate);
      e.dx[static_cast<std::size_t>(r * stride + f)] = w * d * gate * slope(c.kind, a);
      if (c.gated) {
        e.dx[static_cast<std::size_t>(r * stride + columns + f)] = w * d * act(c.kind, a);
      }
      dot += d * act(c.kind, a) * gate;
    }
    e.dweight.push_back(static_cast<double>(dot));
  }
  return e;
}

void check(const Case& c, std::int64_t rows, std::int64_t columns) {
  const Array x = Array::random(c.dtype, {rows, c.gated ? 2 * columns : columns}, 1, 2.0, 5);
  const Array weight = Array::random(wide(c.dtype), {rows}, 2);
  const Array dout = Array::random(c.dtype, {rows, columns}, 3);
  const Expected expected = reference(c, x, weight, dout, rows, columns);
  const View used = c.weighted ? weight.view() : View{};
  everywhere(
      std::string(to_string(c.dtype)) + " kind " + std::to_string(static_cast<int>(c.kind)) +
          (c.gated ? " gated " : " plain ") + std::to_string(rows) + " x " +
          std::to_string(columns),
      [&](Stream& stream) {
        Array out(c.dtype, {rows, columns});
        activation(stream, {x.view(), used, out.view(), c.kind, c.gated});
        Array dx = x;  // in place
        Array dweight(wide(c.dtype), {rows});
        activation_backward(stream, {dx.view(), used, dout.view(), dx.view(),
                                     c.weighted ? dweight.view() : View{}, c.kind, c.gated});
        Array again_dx(c.dtype, {rows, c.gated ? 2 * columns : columns});
        Array again(c.dtype, {rows, columns});
        activation_backward(stream,
                            {x.view(), used, dout.view(), again_dx.view(),
                             c.weighted ? dweight.view() : View{}, c.kind, c.gated, again.view()});
        return std::vector<Array>{out, dx, dweight, again_dx, again};
      },
      [&](const std::vector<Array>& got) {
        expect_close("out", got[0], expected.out, kSteps);
        expect_close("dx", got[1], expected.dx, kSteps, kFactors);
        EXPECT_TRUE(same_bits(got[3], got[1])) << "dx in memory of its own";
        EXPECT_TRUE(same_bits(got[4], got[0])) << "forward's output";
        if (c.weighted) expect_close("dweight", got[2], expected.dweight, kSteps * columns);
      });
}

TEST(Activation, EqualsItsFormulaInBothDirections) {
  for (const DType dtype : testing::kFloatTypes) {
    for (const auto kind : {ActivationKind::Silu, ActivationKind::GeluErf, ActivationKind::GeluTanh,
                            ActivationKind::Relu2}) {
      for (const bool gated : {true, false}) {
        for (const bool weighted : {true, false}) {
          const Case c{dtype, kind, gated, weighted};
          check(c, 0, 4);
          check(c, 1, 1);
          check(c, 3, 17);
          check(c, 70, 333);
        }
      }
    }
  }
}

TEST(Activation, RefusesAnOddGatedWidthAndALonelyWeightGradient) {
  Stream stream(1, CpuIsa::Avx2);
  const Array x(DType::F32, {2, 3});
  const Array out(DType::F32, {2, 1});
  const Array weight(DType::F32, {2});
  EXPECT_THROW(activation(stream, {x.view(), {}, out.view()}), ShapeError);
  EXPECT_THROW(
      activation_backward(
          stream, {x.view(), {}, x.view(), x.view(), weight.view(), ActivationKind::Silu, false}),
      ShapeError);
}

}  // namespace
}  // namespace moe::kernels
