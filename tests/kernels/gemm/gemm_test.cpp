#include "kernels/gemm/gemm.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "kernels/everywhere.h"
#include "kernels/gemm/product_reference.h"

namespace moe::kernels {
namespace {

using testing::Array;
using testing::dot;
using testing::everywhere;
using testing::expect_close;
using testing::kFloatTypes;
using testing::Matrix;
using testing::product_scale;
using testing::wide;

struct Size {
  std::int64_t m;
  std::int64_t n;
  std::int64_t k;
};

const std::vector<Size> kSizes = {{0, 3, 4},    {3, 0, 4},    {3, 5, 0},     {1, 1, 1},
                                  {1, 300, 17}, {300, 1, 5},  {2, 31, 2},    {7, 47, 33},
                                  {13, 64, 64}, {97, 49, 15}, {5, 25, 1100}, {130, 210, 21}};

std::string label(DType dtype, const Size& size, bool ta, bool tb) {
  return std::string(to_string(dtype)) + " " + std::to_string(size.m) + " x " +
         std::to_string(size.n) + " x " + std::to_string(size.k) + (ta ? " T" : " N") +
         (tb ? "T" : "N");
}

struct Case {
  Case(DType dtype, const Size& size_, bool ta_, bool tb_, std::int64_t padding)
      : size(size_),
        ta(ta_),
        tb(tb_),
        a(Array::random(dtype, {ta ? size.k : size.m, ta ? size.m : size.k}, 1, 1.0, padding)),
        b(Array::random(dtype, {tb ? size.n : size.k, tb ? size.k : size.n}, 2, 1.0, padding)) {}

  std::vector<double> expected(double alpha, const Array* before, double beta) const {
    const Matrix left{a, ta ? size.m : size.k, ta};
    const Matrix right{b, tb ? size.k : size.n, tb};
    std::vector<double> out;
    for (std::int64_t i = 0; i < size.m; ++i) {
      for (std::int64_t j = 0; j < size.n; ++j) {
        const double old = before == nullptr ? 0.0 : beta * (*before)[i * size.n + j];
        out.push_back(alpha * dot(left, i, right, j, size.k) + old);
      }
    }
    return out;
  }
  Array run(Stream& stream, const Array& before, float alpha, float beta) const {
    Array c = before;
    gemm(stream, {.a = a.view(), .b = b.view(), .c = c.view(), .transpose_a = ta,
                  .transpose_b = tb, .alpha = alpha, .beta = beta});
    return c;
  }

  Size size;
  bool ta;
  bool tb;
  Array a;
  Array b;
};

void check(DType dtype, DType out, const Case& data, std::int64_t padding) {
  Array dirty = Array::random(out, {data.size.m, data.size.n}, 3, 1.0, padding);
  const Array before = dirty;
  dirty.fill(std::nan(""));  // beta = 0 must not read it
  const double scale = product_scale(data.size.k);
  everywhere(
      label(dtype, data.size, data.ta, data.tb),
      [&](Stream& stream) {
        return std::vector<Array>{data.run(stream, dirty, 1.0F, 0.0F),
                                  data.run(stream, before, 1.0F, 1.0F),
                                  data.run(stream, before, -0.5F, 2.0F)};
      },
      [&](const std::vector<Array>& c) {
        expect_close("c", c[0], data.expected(1.0, nullptr, 0.0), data.size.k, scale);
        expect_close("added", c[1], data.expected(1.0, &before, 1.0), data.size.k, scale);
        expect_close("scaled", c[2], data.expected(-0.5, &before, 2.0), data.size.k, 2 * scale);
      });
}

TEST(Gemm, MultipliesEveryTransposition) {
  for (const DType dtype : kFloatTypes) {
    for (const Size& size : kSizes) {
      for (const bool ta : {false, true}) {
        for (const bool tb : {false, true}) {
          check(dtype, dtype, Case(dtype, size, ta, tb, 0), 0);
        }
      }
    }
  }
}

TEST(Gemm, TakesRowsAtAnyDistance) {
  for (const DType dtype : kFloatTypes) {
    for (const bool ta : {false, true}) {
      for (const bool tb : {false, true}) {
        check(dtype, dtype, Case(dtype, {19, 53, 37}, ta, tb, 5), 3);
      }
    }
  }
}

TEST(Gemm, AccumulatesBf16IntoF32WithoutRounding) {
  for (const Size& size : kSizes) {
    check(DType::BF16, DType::F32, Case(DType::BF16, size, true, false, 0), 0);
    check(DType::BF16, DType::F32, Case(DType::BF16, size, false, true, 0), 0);
  }
}

// What routing, sharding and decoding rely on: a row's bits do not depend on the rows beside it.
TEST(Gemm, ComputesARowTheSameWayWhateverStandsBesideIt) {
  for (const DType dtype : kFloatTypes) {
    for (const bool tb : {false, true}) {
      const Case data(dtype, {131, 75, 1300}, false, tb, 0);
      everywhere(
          label(dtype, data.size, false, tb),
          [&](Stream& stream) {
            const Array whole = data.run(stream, Array(dtype, {131, 75}), 1.0F, 0.0F);
            for (const std::int64_t rows : {1, 2, 3, 5, 8, 12, 40, 97}) {
              const std::int64_t first = 131 - rows;
              View a = data.a.view();
              a.data = a.as<std::byte>() + first * a.stride(0) * size_of(dtype);
              a.dims[0] = rows;
              const Array part(dtype, {rows, 75});
              gemm(stream, {.a = a, .b = data.b.view(), .c = part.view(), .transpose_b = tb});
              for (std::int64_t i = 0; i < rows * 75; ++i) {
                EXPECT_EQ(part[i], whole[first * 75 + i]) << rows << " rows, element " << i;
              }
            }
            return std::vector<Array>{whole};
          },
          [](const std::vector<Array>&) {});
    }
  }
}

TEST(Gemm, PassesInfinityAndNanOn) {
  for (const DType dtype : kFloatTypes) {
    Case data(dtype, {9, 40, 6}, false, false, 0);
    data.a.set(2 * 6 + 3, std::nan(""));
    data.b.set(1 * 40 + 7, std::numeric_limits<double>::infinity());
    everywhere(
        label(dtype, data.size, false, false),
        [&](Stream& stream) {
          return std::vector<Array>{data.run(stream, Array(dtype, {9, 40}), 1.0F, 0.0F)};
        },
        [&](const std::vector<Array>& c) {
          for (std::int64_t i = 0; i < 9 * 40; ++i) {
            const bool bad = i / 40 == 2 || i % 40 == 7;
            EXPECT_EQ(std::isfinite(c[0][i]), !bad) << i;
          }
        });
  }
}

TEST(Gemm, RefusesShapesAndTypesThatDoNotFit) {
  Stream stream(1, CpuIsa::Avx2);
  const Array a(DType::F32, {4, 5});
  const Array b(DType::F32, {5, 6});
  const Array c(DType::F32, {4, 6});
  const Array wrong(DType::F32, {6, 5});
  const Array vector(DType::F32, {24});
  const Array f64(DType::F64, {4, 6});
  const Array b64(DType::F64, {5, 6});
  EXPECT_THROW(gemm(stream, {.a = a.view(), .b = wrong.view(), .c = c.view()}), ShapeError);
  EXPECT_THROW(gemm(stream, {.a = b.view(), .b = b.view(), .c = c.view()}), ShapeError);
  EXPECT_THROW(gemm(stream, {.a = a.view(), .b = b.view(), .c = vector.view()}), ShapeError);
  EXPECT_THROW(gemm(stream, {.a = a.view(), .b = b.view(), .c = f64.view()}), DTypeError);
  EXPECT_THROW(gemm(stream, {.a = a.view(), .b = b64.view(), .c = c.view()}), DTypeError);
}

}  // namespace
}  // namespace moe::kernels
