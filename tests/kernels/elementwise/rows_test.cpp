#include "kernels/elementwise/rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "base/error.h"
#include "kernels/everywhere.h"

namespace moe::kernels {
namespace {

using testing::Array;
using testing::everywhere;
using testing::expect_close;
using testing::kFloatTypes;
using testing::wide;

struct Shape3 {
  std::int64_t from;
  std::int64_t to;
  std::int64_t columns;
};

/// Indices of [-1, bound), some -1.
Array random_index(std::vector<std::int64_t> dims, std::int64_t bound, std::uint64_t seed) {
  Array index(DType::I32, std::move(dims));
  std::mt19937_64 generator(seed);
  for (std::int64_t i = 0; i < index.size(); ++i) {
    const auto draw =
        static_cast<std::int64_t>(generator() % static_cast<std::uint64_t>(bound + 1));
    index.set(i, static_cast<double>(draw - 1));
  }
  return index;
}

std::string label(DType dtype, const Shape3& s) {
  return std::string(to_string(dtype)) + " " + std::to_string(s.from) + " -> " +
         std::to_string(s.to) + " x " + std::to_string(s.columns);
}

TEST(GatherRows, CopiesNamedRowsBetweenAllTypes) {
  for (const DType from : kFloatTypes) {
    for (const DType to : kFloatTypes) {
      for (const Shape3& s : {Shape3{4, 0, 5}, {1, 1, 1}, {3, 9, 17}, {50, 600, 131}}) {
        const Array x = Array::random(from, {s.from, s.columns}, 1, 1.0, 2);
        const Array index = random_index({s.to}, s.from, 2);
        std::vector<double> expected;
        for (std::int64_t i = 0; i < s.to * s.columns; ++i) {
          const auto row = static_cast<std::int64_t>(index[i / s.columns]);
          expected.push_back(row < 0 ? 0.0 : x.at(row, i % s.columns));
        }
        everywhere(
            label(from, s),
            [&](Stream& stream) {
              Array out(to, {s.to, s.columns}, 1);
              out.fill(std::nan(""));
              gather_rows(stream, {x.view(), index.view(), out.view()});
              return std::vector<Array>{out};
            },
            [&](const std::vector<Array>& out) {
              expect_close("out", out[0], expected, 1, 0.0);
              for (std::int64_t i = 0; from == to && i < out[0].size(); ++i) {
                ASSERT_EQ(out[0][i], expected[static_cast<std::size_t>(i)]);
              }
            });
      }
    }
  }
}

void check_scatter(DType dtype, const Shape3& s, const Array& index) {
  const Array x = Array::random(dtype, {s.from, s.columns}, 3);
  const Array before = Array::random(wide(dtype), {s.to, s.columns}, 4);
  std::vector<long double> sums(static_cast<std::size_t>(s.to * s.columns), 0.0L);
  for (std::int64_t r = 0; r < s.from; ++r) {
    const auto row = static_cast<std::int64_t>(index[r]);
    for (std::int64_t c = 0; row >= 0 && c < s.columns; ++c) {
      sums[static_cast<std::size_t>(row * s.columns + c)] += x.at(r, c);
    }
  }
  const std::vector<double> fresh(sums.begin(), sums.end());
  std::vector<double> added = fresh;
  for (std::int64_t i = 0; i < before.size(); ++i) added[static_cast<std::size_t>(i)] += before[i];
  // A sum of n terms passes through partial sums of about sqrt(n).
  const double scale = std::sqrt(static_cast<double>(s.from + 1));
  everywhere(
      label(dtype, s),
      [&](Stream& stream) {
        Array out(wide(dtype), {s.to, s.columns});
        out.fill(std::nan(""));
        scatter_add_rows(stream, {x.view(), index.view(), out.view(), 0.0F});
        Array sum = before;
        scatter_add_rows(stream, {x.view(), index.view(), sum.view(), 1.0F});
        return std::vector<Array>{out, sum};
      },
      [&](const std::vector<Array>& out) {
        expect_close("fresh", out[0], fresh, s.from, scale);
        expect_close("added", out[1], added, s.from, scale);
      });
}

TEST(ScatterAddRows, SumsSourcesOfEveryTarget) {
  for (const DType dtype : kFloatTypes) {
    for (const Shape3& s :
         {Shape3{0, 5, 3}, {1, 1, 1}, {9, 3, 17}, {600, 50, 300}, {700, 100000, 3}}) {
      check_scatter(dtype, s, random_index({s.from}, s.to, 5));
    }
  }
}

TEST(ScatterAddRows, TakesAllSourcesForOneTargetAndNoneAtAll) {
  const Shape3 s{500, 7, 600};
  Array index(DType::I32, {s.from});
  index.fill(5);
  check_scatter(DType::F32, s, index);
  index.fill(-1);
  check_scatter(DType::F32, s, index);
}

TEST(ScatterAddRows, AddsInRowOrder) {
  // Grouped any other way the small numbers would vanish in the large one, or not.
  const double large = 0x1.0p24;
  const Array x = Array::of(DType::F32, {3, 1}, {1.0, 1.0, large});
  const Array index = Array::of(DType::I32, {3}, {0, 0, 0});
  everywhere(
      "order",
      [&](Stream& stream) {
        Array out(DType::F32, {1, 1});
        scatter_add_rows(stream, {x.view(), index.view(), out.view(), 0.0F});
        return std::vector<Array>{out};
      },
      [&](const std::vector<Array>& out) { EXPECT_EQ(out[0][0], large + 2.0); });
}

TEST(CombineRows, SumsTheRowsOfEachToken) {
  for (const DType dtype : kFloatTypes) {
    for (const std::int64_t choices : {1, 2, 8}) {
      for (const Shape3& s : {Shape3{4, 0, 5}, {1, 1, 1}, {6, 5, 17}, {90, 400, 139}}) {
        const Array x = Array::random(dtype, {s.from, s.columns}, 6);
        const Array index = random_index({s.to, choices}, s.from, 7);
        std::vector<double> expected(static_cast<std::size_t>(s.to * s.columns), 0.0);
        for (std::int64_t i = 0; i < s.to * choices; ++i) {
          const auto row = static_cast<std::int64_t>(index[i]);
          for (std::int64_t c = 0; row >= 0 && c < s.columns; ++c) {
            expected[static_cast<std::size_t>(i / choices * s.columns + c)] += x.at(row, c);
          }
        }
        everywhere(
            label(dtype, s),
            [&](Stream& stream) {
              Array out(dtype, {s.to, s.columns}, 3);
              out.fill(std::nan(""));
              combine_rows(stream, {x.view(), index.view(), out.view()});
              return std::vector<Array>{out};
            },
            [&](const std::vector<Array>& out) { expect_close("out", out[0], expected, choices); });
      }
    }
  }
}

TEST(Rows, RefuseIndicesOutOfRange) {
  const Array x(DType::F32, {3, 2});
  const Array out(DType::F32, {3, 2});
  for (const double bad : {3.0, -2.0, 2147483647.0}) {
    const Array index = Array::of(DType::I32, {3}, {0, bad, 1});
    const Array routes = Array::of(DType::I32, {3, 1}, {0, bad, 1});
    for (const CpuIsa isa : available_cpu_isas()) {
      Stream stream(2, isa);
      EXPECT_THROW(gather_rows(stream, {x.view(), index.view(), out.view()}), ShapeError);
      EXPECT_THROW(scatter_add_rows(stream, {x.view(), index.view(), out.view()}), ShapeError);
      EXPECT_THROW(combine_rows(stream, {x.view(), routes.view(), out.view()}), ShapeError);
    }
  }
}

}  // namespace
}  // namespace moe::kernels
