#include "kernels/gemm/grouped_gemm.h"

#include <gtest/gtest.h>

#include <numeric>

#include "base/error.h"
#include "kernels/everywhere.h"
#include "kernels/gemm/gemm.h"
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

const std::vector<std::vector<std::int64_t>> kGroups = {
    {0}, {0, 0, 0}, {1}, {3, 0, 5, 1}, {0, 150, 0}, {17, 2, 64, 0, 33}, {0, 0, 9}};

std::string label(DType dtype, const std::vector<std::int64_t>& counts, bool flag) {
  std::string text(to_string(dtype));
  for (const std::int64_t count : counts) text += " " + std::to_string(count);
  return text + (flag ? " +" : " -");
}

Array offsets(const std::vector<std::int64_t>& counts) {
  std::vector<double> at = {0.0};
  for (const std::int64_t count : counts) at.push_back(at.back() + static_cast<double>(count));
  return Array::of(DType::I32, {static_cast<std::int64_t>(at.size())}, at);
}

std::int64_t total(const std::vector<std::int64_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

/// A gather map with repeats: row r reads source (7 r + 3) mod sources.
Array map_of(std::int64_t rows, std::int64_t sources) {
  Array map(DType::I32, {rows});
  for (std::int64_t r = 0; r < rows; ++r) map.set(r, static_cast<double>((7 * r + 3) % sources));
  return map;
}

struct Forward {
  std::vector<std::int64_t> counts;
  std::int64_t k;
  std::int64_t n;
  bool gather;
  bool transpose_b;
};

void check_forward(DType dtype, DType out, const Forward& x) {
  const std::int64_t rows = total(x.counts);
  const auto groups = static_cast<std::int64_t>(x.counts.size());
  const std::int64_t sources = x.gather ? rows / 2 + 1 : rows;
  const Array a = Array::random(dtype, {sources, x.k}, 1, 1.0, 3);
  const Array row = map_of(rows, sources > 0 ? sources : 1);
  const Array offset = offsets(x.counts);
  const Array b = Array::random(
      dtype, {groups, x.transpose_b ? x.n : x.k, x.transpose_b ? x.k : x.n}, 2);
  const Array before = Array::random(out, {rows, x.n}, 3);
  std::vector<double> expected;
  std::vector<double> added;
  std::int64_t r = 0;
  for (std::int64_t g = 0; g < groups; ++g) {
    const Matrix weight{b, x.transpose_b ? x.k : x.n, x.transpose_b, g * x.k * x.n};
    for (const std::int64_t end = r + x.counts[static_cast<std::size_t>(g)]; r < end; ++r) {
      const auto source = x.gather ? static_cast<std::int64_t>(row[r]) : r;
      for (std::int64_t j = 0; j < x.n; ++j) {
        expected.push_back(dot(Matrix{a, x.k}, source, weight, j, x.k));
        added.push_back(expected.back() + before[r * x.n + j]);
      }
    }
  }
  everywhere(
      label(dtype, x.counts, x.transpose_b),
      [&](Stream& stream) {
        Array c(out, {rows, x.n}, 2);
        c.fill(std::nan(""));
        GroupedGemm args{.a = a.view(), .row = x.gather ? row.view() : View{},
                         .offset = offset.view(), .b = b.view(), .c = c.view(),
                         .transpose_b = x.transpose_b};
        grouped_gemm(stream, args);
        Array sum = before;
        args.c = sum.view();
        args.beta = 1.0F;
        grouped_gemm(stream, args);
        return std::vector<Array>{c, sum};
      },
      [&](const std::vector<Array>& c) {
        expect_close("c", c[0], expected, x.k, product_scale(x.k));
        expect_close("added", c[1], added, x.k, product_scale(x.k));
      });
}

TEST(GroupedGemm, MultipliesEveryGroupByItsOwnMatrix) {
  for (const DType dtype : kFloatTypes) {
    for (const auto& counts : kGroups) {
      for (const bool gather : {false, true}) {
        for (const bool transpose_b : {false, true}) {
          check_forward(dtype, dtype, {counts, 37, 51, gather, transpose_b});
        }
      }
    }
  }
}

TEST(GroupedGemm, WritesF32FromBf16AndSplitsLongDepths) {
  check_forward(DType::BF16, DType::F32, {{5, 0, 9}, 1100, 20, true, true});
  check_forward(DType::BF16, DType::F32, {{5, 0, 9}, 33, 1, true, false});
  check_forward(DType::F32, DType::F32, {{5, 0, 9}, 0, 20, false, false});
}

TEST(GroupedGemm, GivesTheBitsOfOneProductPerGroup) {
  const std::vector<std::int64_t> counts = {19, 0, 3, 110};
  const Array offset = offsets(counts);
  for (const DType dtype : kFloatTypes) {
    const Array a = Array::random(dtype, {132, 600}, 4);
    const Array b = Array::random(dtype, {4, 600, 70}, 5);
    everywhere(
        label(dtype, counts, false),
        [&](Stream& stream) {
          const Array c(dtype, {132, 70});
          grouped_gemm(stream, {.a = a.view(), .offset = offset.view(), .b = b.view(),
                                .c = c.view()});
          const Array one(dtype, {132, 70});
          View weight = b.view();
          weight.rank = 2;
          weight.dims = {600, 70};
          weight.strides = {70, 1};
          weight.data = weight.as<std::byte>() + 3 * 600 * 70 * size_of(dtype);
          gemm(stream, {.a = a.view(), .b = weight, .c = one.view()});
          for (std::int64_t i = 22 * 70; i < 132 * 70; ++i) EXPECT_EQ(c[i], one[i]) << i;
          return std::vector<Array>{c};
        },
        [](const std::vector<Array>&) {});
  }
}

void check_weight(DType dtype, const std::vector<std::int64_t>& counts, bool gather) {
  constexpr std::int64_t kM = 45;
  constexpr std::int64_t kN = 58;
  const std::int64_t rows = total(counts);
  const auto groups = static_cast<std::int64_t>(counts.size());
  const std::int64_t sources = gather ? rows / 2 + 1 : rows;
  const Array a = Array::random(dtype, {sources, kM}, 6, 1.0, 1);
  const Array b = Array::random(dtype, {rows, kN}, 7);
  const Array row_a = map_of(rows, sources > 0 ? sources : 1);
  const Array row_b = map_of(rows, rows > 0 ? rows : 1);
  const Array offset = offsets(counts);
  const Array before = Array::random(wide(dtype), {groups, kM, kN}, 8);
  std::vector<double> expected;
  std::vector<double> added;
  std::int64_t first = 0;
  for (const std::int64_t count : counts) {
    for (std::int64_t at = 0; at < kM * kN; ++at) {
      long double sum = 0.0L;
      for (std::int64_t r = first; r < first + count; ++r) {
        const auto ra = gather ? static_cast<std::int64_t>(row_a[r]) : r;
        const auto rb = gather ? static_cast<std::int64_t>(row_b[r]) : r;
        sum += static_cast<long double>(a.at(ra, at / kN)) * b.at(rb, at % kN);
      }
      added.push_back(static_cast<double>(sum) + before[static_cast<std::int64_t>(expected.size())]);
      expected.push_back(static_cast<double>(sum));
    }
    first += count;
  }
  everywhere(
      label(dtype, counts, gather),
      [&](Stream& stream) {
        Array c(wide(dtype), {groups, kM, kN});
        c.fill(std::nan(""));
        GroupedGemmWeight args{.a = a.view(), .row_a = gather ? row_a.view() : View{},
                               .b = b.view(), .row_b = gather ? row_b.view() : View{},
                               .offset = offset.view(), .c = c.view()};
        grouped_gemm_weight(stream, args);
        Array sum = before;
        args.c = sum.view();
        args.beta = 1.0F;
        grouped_gemm_weight(stream, args);
        return std::vector<Array>{c, sum};
      },
      [&](const std::vector<Array>& c) {
        expect_close("c", c[0], expected, rows, product_scale(rows));
        expect_close("added", c[1], added, rows, product_scale(rows));
      });
}

TEST(GroupedGemmWeight, SumsOuterProductsOfEachGroup) {
  for (const DType dtype : kFloatTypes) {
    for (const auto& counts : kGroups) {
      for (const bool gather : {false, true}) check_weight(dtype, counts, gather);
    }
  }
}

TEST(GroupedGemm, RefusesWrongGroupsAndIndices) {
  Stream stream(1, CpuIsa::Avx2);
  const Array a(DType::F32, {4, 5});
  const Array b(DType::F32, {2, 5, 6});
  const Array c(DType::F32, {4, 6});
  const Array good = Array::of(DType::I32, {3}, {0, 1, 4});
  const Array falling = Array::of(DType::I32, {3}, {0, 5, 4});
  const Array few = Array::of(DType::I32, {3}, {0, 1, 3});
  const Array row = Array::of(DType::I32, {4}, {0, 1, 2, 4});
  GroupedGemm args{.a = a.view(), .offset = good.view(), .b = b.view(), .c = c.view()};
  EXPECT_NO_THROW(grouped_gemm(stream, args));
  for (const Array* offset : {&falling, &few}) {
    args.offset = offset->view();
    EXPECT_THROW(grouped_gemm(stream, args), ShapeError);
  }
  args.offset = good.view();
  args.row = row.view();
  EXPECT_THROW(grouped_gemm(stream, args), ShapeError);
  args.row = View{};
  args.transpose_b = true;
  EXPECT_THROW(grouped_gemm(stream, args), ShapeError);
}

}  // namespace
}  // namespace moe::kernels
