#include "kernels/norm/rms_norm.h"

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

constexpr double kEpsilon = 1e-5;

struct Case {
  DType dtype;
  DType weight;
  std::int64_t rows;
  std::int64_t columns;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const DType dtype : testing::kFloatTypes) {
    for (const DType weight : {wide(dtype), dtype}) {
      for (const auto& [rows, columns] : std::vector<std::pair<std::int64_t, std::int64_t>>{
               {0, 8}, {1, 1}, {3, 17}, {5, 64}, {70, 333}, {5000, 24}}) {
        all.push_back({dtype, weight, rows, columns});
      }
    }
  }
  return all;
}

std::string label(const Case& c) {
  return std::string(to_string(c.dtype)) + " weight " + std::string(to_string(c.weight)) + " " +
         std::to_string(c.rows) + " x " + std::to_string(c.columns);
}

/// What the kernel must produce from the (already rounded) s.
struct Forward {
  std::vector<double> y;
  std::vector<double> rstd;
};
Forward forward(const Array& s, const Array& weight, const Case& c) {
  Forward result;
  for (std::int64_t r = 0; r < c.rows; ++r) {
    double squares = 0;
    for (std::int64_t i = 0; i < c.columns; ++i) squares += s.at(r, i) * s.at(r, i);
    result.rstd.push_back(1 / std::sqrt(squares / static_cast<double>(c.columns) + kEpsilon));
    for (std::int64_t i = 0; i < c.columns; ++i) {
      result.y.push_back(s.at(r, i) * result.rstd.back() * weight[i]);
    }
  }
  return result;
}

Array sum_of(const Array& a, const Array& b, const Case& c) {
  Array s(c.dtype, {c.rows, c.columns});
  for (std::int64_t i = 0; i < s.size(); ++i) {
    // Rounded twice for bf16, as the kernel's f32 sum is.
    s.set(i, c.dtype == DType::F64 ? a[i] + b[i] : static_cast<float>(a[i] + b[i]));
  }
  return s;
}

TEST(RmsNorm, NormalisesRows) {
  for (const Case& c : cases()) {
    const Array x = Array::random(c.dtype, {c.rows, c.columns}, 1, 1.5, 3);
    const Array weight = Array::random(c.weight, {c.columns}, 2);
    const Forward expected = forward(x, weight, c);
    everywhere(
        label(c),
        [&](Stream& stream) {
          Array y(c.dtype, {c.rows, c.columns});
          Array rstd(wide(c.dtype), {c.rows});
          rms_norm(stream, {x.view(), {}, weight.view(), {}, y.view(), rstd.view(), kEpsilon});
          return std::vector<Array>{y, rstd};
        },
        [&](const std::vector<Array>& out) {
          expect_close("y", out[0], expected.y, c.columns);
          expect_close("rstd", out[1], expected.rstd, c.columns, 0.0);
        });
  }
}

TEST(RmsNorm, FoldsTheResidualSumIn) {
  for (const Case& c : cases()) {
    const Array x = Array::random(c.dtype, {c.rows, c.columns}, 3);
    const Array delta = Array::random(c.dtype, {c.rows, c.columns}, 4, 1.0, 1);
    const Array weight = Array::random(c.weight, {c.columns}, 5);
    const Array s = sum_of(x, delta, c);
    const Forward expected = forward(s, weight, c);
    everywhere(
        label(c),
        [&](Stream& stream) {
          Array sum = x;  // in place
          Array y(c.dtype, {c.rows, c.columns});
          Array rstd(wide(c.dtype), {c.rows});
          rms_norm(stream, {sum.view(), delta.view(), weight.view(), sum.view(), y.view(),
                            rstd.view(), kEpsilon});
          return std::vector<Array>{sum, y, rstd};
        },
        [&](const std::vector<Array>& out) {
          EXPECT_TRUE(same_bits(out[0], s));
          expect_close("y", out[1], expected.y, c.columns);
          expect_close("rstd", out[2], expected.rstd, c.columns, 0.0);
        });
  }
}

struct Backward {
  std::vector<double> dx;
  std::vector<double> dweight;
};
/// From the formula y = s w (mean(s^2) + eps)^(-1/2), term by term.
Backward backward(const Array& s, const Array& weight, const Array& dy, const Array& dsum,
                  const std::vector<double>& rstd, const Case& c) {
  Backward result;
  std::vector<long double> dweight(static_cast<std::size_t>(c.columns), 0.0L);
  for (std::int64_t r = 0; r < c.rows; ++r) {
    const double inverse = rstd[static_cast<std::size_t>(r)];
    double dot = 0;
    for (std::int64_t i = 0; i < c.columns; ++i) dot += dy.at(r, i) * weight[i] * s.at(r, i);
    for (std::int64_t i = 0; i < c.columns; ++i) {
      const double direct = dy.at(r, i) * weight[i] * inverse;
      const double through_mean =
          s.at(r, i) * std::pow(inverse, 3) * dot / static_cast<double>(c.columns);
      result.dx.push_back(direct - through_mean + dsum.at(r, i));
      dweight[static_cast<std::size_t>(i)] += dy.at(r, i) * s.at(r, i) * inverse;
    }
  }
  result.dweight.assign(dweight.begin(), dweight.end());
  return result;
}

TEST(RmsNormBackward, IsTheDerivative) {
  for (const Case& c : cases()) {
    const Array s = Array::random(c.dtype, {c.rows, c.columns}, 6, 1.5);
    const Array weight = Array::random(c.weight, {c.columns}, 7);
    const Array dy = Array::random(c.dtype, {c.rows, c.columns}, 8);
    const Array dsum = Array::random(c.dtype, {c.rows, c.columns}, 9);
    const Array before = Array::random(wide(c.dtype), {c.columns}, 10);
    const Array rstd = Array::of(wide(c.dtype), {c.rows}, forward(s, weight, c).rstd);
    std::vector<double> exact_rstd;
    for (std::int64_t r = 0; r < c.rows; ++r) exact_rstd.push_back(rstd[r]);
    const Backward expected = backward(s, weight, dy, dsum, exact_rstd, c);
    Backward added = expected;
    for (std::int64_t i = 0; i < c.columns; ++i) {
      added.dweight[static_cast<std::size_t>(i)] += before[i];
    }
    everywhere(
        label(c),
        [&](Stream& stream) {
          Array dx = dy;
          Array dweight(wide(c.dtype), {c.columns});
          dweight.fill(std::nan(""));
          rms_norm_backward(stream, {s.view(), weight.view(), rstd.view(), dx.view(), dsum.view(),
                                     dx.view(), dweight.view(), 0.0F});
          Array over_dsum = dsum;
          Array sum = before;
          rms_norm_backward(stream, {s.view(), weight.view(), rstd.view(), dy.view(),
                                     over_dsum.view(), over_dsum.view(), sum.view(), 1.0F});
          EXPECT_TRUE(same_bits(dx, over_dsum));
          return std::vector<Array>{dx, dweight, sum};
        },
        [&](const std::vector<Array>& out) {
          // One row of one number divides by |s|: errors are relative to rstd^3.
          expect_close("dx", out[0], expected.dx, c.columns, c.columns == 1 ? 100.0 : 4.0);
          expect_close("dweight", out[1], expected.dweight, c.rows,
                       std::sqrt(static_cast<double>(c.rows) + 1.0));
          expect_close("dweight added", out[2], added.dweight, c.rows,
                       std::sqrt(static_cast<double>(c.rows) + 1.0));
        });
  }
}

TEST(RmsNorm, RefusesADeltaWithoutASum) {
  Stream stream(1, CpuIsa::Avx2);
  const Array x(DType::F32, {2, 3});
  const Array weight(DType::F32, {3});
  const Array rstd(DType::F32, {2});
  EXPECT_THROW(rms_norm(stream, {x.view(), x.view(), weight.view(), {}, x.view(), rstd.view()}),
               ShapeError);
  EXPECT_THROW(rms_norm(stream, {x.view(), {}, rstd.view(), {}, x.view(), rstd.view()}),
               ShapeError);
}

}  // namespace
}  // namespace moe::kernels
