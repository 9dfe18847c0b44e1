#include "kernels/elementwise/arithmetic.h"

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
using testing::wide;

const std::vector<std::int64_t> kSizes = {0, 1, 3, 8, 17, 63, 257, 40001};

struct Matrix {
  std::int64_t rows;
  std::int64_t columns;
};
const std::vector<Matrix> kMatrices = {{0, 5},   {1, 1},     {3, 0},    {5, 17},
                                       {2, 300}, {200, 129}, {3000, 33}};

std::string label(DType dtype, std::int64_t a, std::int64_t b = 1) {
  return std::string(to_string(dtype)) + " " + std::to_string(a) + " x " + std::to_string(b);
}

double sigmoid(double x) {
  return 1.0 / (1.0 + std::exp(-x));
}

TEST(Add, SumsElements) {
  for (const DType dtype : kFloatTypes) {
    for (const std::int64_t n : kSizes) {
      const Array a = Array::random(dtype, {n}, 1);
      const Array b = Array::random(dtype, {n}, 2);
      std::vector<double> expected;
      for (std::int64_t i = 0; i < n; ++i) expected.push_back(a[i] + b[i]);
      everywhere(
          label(dtype, n),
          [&](Stream& stream) {
            Array out(dtype, {n});
            add(stream, {a.view(), b.view(), out.view()});
            Array in_place = a;
            add(stream, {in_place.view(), b.view(), in_place.view()});
            EXPECT_TRUE(same_bits(in_place, out));
            return std::vector<Array>{out};
          },
          [&](const std::vector<Array>& out) { expect_close("out", out[0], expected); });
    }
  }
}

TEST(Add, RefusesOtherShapesAndTypes) {
  Stream stream(1, CpuIsa::Avx2);
  const Array a(DType::F32, {4});
  const Array b(DType::F32, {5});
  const Array c(DType::F64, {4});
  const Array d(DType::I32, {4});
  EXPECT_THROW(add(stream, {a.view(), b.view(), a.view()}), ShapeError);
  EXPECT_THROW(add(stream, {a.view(), c.view(), a.view()}), DTypeError);
  EXPECT_THROW(add(stream, {d.view(), d.view(), d.view()}), DTypeError);
}

TEST(ScaleCast, ConvertsBetweenAllTypes) {
  for (const DType from : kFloatTypes) {
    for (const DType to : kFloatTypes) {
      for (const std::int64_t n : kSizes) {
        const Array x = Array::random(from, {n}, 3);
        const Array before = Array::random(to, {n}, 4);
        std::vector<double> cast;
        std::vector<double> mixed;
        for (std::int64_t i = 0; i < n; ++i) {
          cast.push_back(x[i]);
          mixed.push_back(0.5 * x[i] + 2.0 * before[i]);
        }
        everywhere(
            label(from, n) + " to " + std::string(to_string(to)),
            [&](Stream& stream) {
              Array out(to, {n});
              out.fill(std::nan(""));  // beta = 0 must not read it
              scale_cast(stream, {x.view(), out.view(), 1.0, 0.0});
              Array sum = before;
              scale_cast(stream, {x.view(), sum.view(), 0.5, 2.0});
              return std::vector<Array>{out, sum};
            },
            [&](const std::vector<Array>& out) {
              expect_close("cast", out[0], cast);
              expect_close("sum", out[1], mixed);
            });
      }
    }
  }
}

TEST(AddBias, AddsTheVectorToEveryRow) {
  for (const DType dtype : kFloatTypes) {
    for (const DType bias_type : {dtype, DType::F32}) {
      for (const auto& [rows, columns] : kMatrices) {
        const Array x = Array::random(dtype, {rows, columns}, 5, 1.0, 3);
        const Array bias = Array::random(bias_type, {columns}, 6);
        std::vector<double> expected;
        for (std::int64_t i = 0; i < rows * columns; ++i) {
          expected.push_back(x[i] + bias[i % columns]);
        }
        everywhere(
            label(dtype, rows, columns),
            [&](Stream& stream) {
              Array y(dtype, {rows, columns});
              add_bias(stream, {x.view(), bias.view(), y.view()});
              Array in_place = x;
              add_bias(stream, {in_place.view(), bias.view(), in_place.view()});
              return std::vector<Array>{y, in_place};
            },
            [&](const std::vector<Array>& out) {
              expect_close("y", out[0], expected);
              EXPECT_TRUE(same_bits(out[0], out[1]));
            });
      }
    }
  }
}

TEST(ColumnSum, SumsOverRows) {
  for (const DType dtype : kFloatTypes) {
    for (const auto& [rows, columns] : kMatrices) {
      const Array x = Array::random(dtype, {rows, columns}, 7, 1.0, 1);
      const Array before = Array::random(wide(dtype), {columns}, 8);
      std::vector<long double> sums(static_cast<std::size_t>(columns), 0.0L);
      for (std::int64_t i = 0; i < rows * columns; ++i) {
        sums[static_cast<std::size_t>(i % columns)] += x[i];
      }
      const std::vector<double> expected(sums.begin(), sums.end());
      std::vector<double> added = expected;
      for (std::int64_t i = 0; i < columns; ++i) added[static_cast<std::size_t>(i)] += before[i];
      everywhere(
          label(dtype, rows, columns),
          [&](Stream& stream) {
            Array out(wide(dtype), {columns});
            out.fill(std::nan(""));
            column_sum(stream, {x.view(), out.view(), 0.0F});
            Array sum = before;
            column_sum(stream, {x.view(), sum.view(), 1.0F});
            return std::vector<Array>{out, sum};
          },
          [&](const std::vector<Array>& out) {
            expect_close("out", out[0], expected, rows);
            expect_close("sum", out[1], added, rows);
          });
    }
  }
}

TEST(Clamp, BoundsValuesAndKeepsNan) {
  for (const DType dtype : kFloatTypes) {
    for (const std::int64_t n : kSizes) {
      const Array x = Array::random(dtype, {n}, 9, 2.0);
      const Array dy = Array::random(dtype, {n}, 10);
      std::vector<double> y;
      std::vector<double> dx;
      for (std::int64_t i = 0; i < n; ++i) {
        y.push_back(std::min(std::max(x[i], -1.5), 1.5));
        dx.push_back(std::abs(x[i]) <= 1.5 ? dy[i] : 0.0);
      }
      everywhere(
          label(dtype, n),
          [&](Stream& stream) {
            Array out(dtype, {n});
            clamp(stream, {x.view(), out.view(), 1.5});
            Array d(dtype, {n});
            clamp_backward(stream, {x.view(), dy.view(), d.view(), 1.5});
            return std::vector<Array>{out, d};
          },
          [&](const std::vector<Array>& out) {
            expect_close("y", out[0], y);
            expect_close("dx", out[1], dx);
          });
    }
    const double inf = std::numeric_limits<double>::infinity();
    const Array special = Array::of(dtype, {3}, {std::nan(""), inf, -inf});
    everywhere(
        label(dtype, 3),
        [&](Stream& stream) {
          Array out(dtype, {3});
          clamp(stream, {special.view(), out.view(), 1.0});
          return std::vector<Array>{out};
        },
        [&](const std::vector<Array>& out) {
          EXPECT_TRUE(std::isnan(out[0][0]));
          EXPECT_EQ(out[0][1], 1.0);
          EXPECT_EQ(out[0][2], -1.0);
        });
  }
}

TEST(SigmoidGate, ScalesRowsAndGivesBothGradients) {
  for (const DType dtype : kFloatTypes) {
    for (const DType gate_type : {dtype, DType::F32}) {
      for (const auto& [rows, columns] : kMatrices) {
        const Array gate = Array::random(gate_type, {rows, 1}, 11);
        const Array x = Array::random(dtype, {rows, columns}, 12);
        const Array dy = Array::random(dtype, {rows, columns}, 13);
        std::vector<double> y;
        std::vector<double> dx;
        std::vector<double> dgate(static_cast<std::size_t>(rows), 0.0);
        for (std::int64_t i = 0; i < rows * columns; ++i) {
          const std::int64_t r = i / columns;
          const double s = sigmoid(gate[r]);
          y.push_back(s * x[i]);
          dx.push_back(s * dy[i]);
          dgate[static_cast<std::size_t>(r)] += s * (1 - s) * x[i] * dy[i];
        }
        everywhere(
            label(dtype, rows, columns),
            [&](Stream& stream) {
              Array out(dtype, {rows, columns});
              sigmoid_gate(stream, {gate.view(), x.view(), out.view()});
              Array d_gate(gate_type, {rows, 1});
              Array d_x = dy;
              sigmoid_gate_backward(stream,
                                    {gate.view(), x.view(), d_x.view(), d_gate.view(), d_x.view()});
              return std::vector<Array>{out, d_x, d_gate};
            },
            [&](const std::vector<Array>& out) {
              expect_close("y", out[0], y);
              expect_close("dx", out[1], dx);
              expect_close("dgate", out[2], dgate, columns);
            });
      }
    }
  }
}

TEST(Sum, AccumulatesInDouble) {
  for (const DType dtype : kFloatTypes) {
    for (const std::int64_t n : {0, 1, 17, 65537, 200000}) {
      const Array x = Array::random(dtype, {n}, 14);
      long double exact = 0.0L;
      for (std::int64_t i = 0; i < n; ++i) exact += x[i];
      const auto expected = static_cast<double>(exact);
      everywhere(
          label(dtype, n),
          [&](Stream& stream) {
            Array out(DType::F64, {1});
            sum(stream, {x.view(), out.view()});
            return std::vector<Array>{out};
          },
          [&](const std::vector<Array>& out) { expect_close("sum", out[0], {expected}, n); });
    }
  }
}

}  // namespace
}  // namespace moe::kernels
