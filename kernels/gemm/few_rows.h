/// A few rows of f32 times a matrix whose depths adjoin (decoding): b is read once, turned in
/// registers and never stored, so that memory is the limit. Sums run in the order of the
/// micro-kernel: the bits are the same.
/// Internal to *_cpu.cpp files: everything has internal linkage.
#pragma once

#include "kernels/gemm/pack.h"

namespace moe::kernels::MOE_ISA {
namespace {

constexpr int kFewRows = 4;
constexpr int kFewColumns = 16;

/// Where b's rows of one group of columns stand, and the rows to ask for meanwhile.
struct FewColumns {
  const float* row[kFewColumns];
  const float* ahead[kFewColumns];
};

template <int Rows>
MOE_INLINE void add_eight(const float* const (&a)[Rows], std::int64_t p, __m256 (&b)[8],
                          __m256 (&acc)[Rows]) {
  transpose8(b);
#pragma GCC unroll 8
  for (int q = 0; q < 8; ++q) {
#pragma GCC unroll 4
    for (int i = 0; i < Rows; ++i) {
      acc[i] = _mm256_fmadd_ps(_mm256_set1_ps(a[i][p + q]), b[q], acc[i]);
    }
  }
}

/// sum[i][j] = sum over depths [first, last) of a[i][p] b[j][p].
template <int Rows>
void few_sums(const float* const (&a)[Rows], const FewColumns& b, std::int64_t first,
              std::int64_t last, float (&sum)[Rows][kFewColumns]) {
  __m256 low[Rows];
  __m256 high[Rows];
  for (int i = 0; i < Rows; ++i) low[i] = high[i] = _mm256_setzero_ps();
  std::int64_t p = first;
  for (; p + 8 <= last; p += 8) {
    if (p % 16 == 0) {
#pragma GCC unroll 16
      for (int j = 0; j < kFewColumns; ++j) __builtin_prefetch(b.ahead[j] + p, 0, 2);
    }
    __m256 x[8];
    __m256 y[8];
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) {
      x[j] = _mm256_loadu_ps(b.row[j] + p);
      y[j] = _mm256_loadu_ps(b.row[j + 8] + p);
    }
    add_eight<Rows>(a, p, x, low);
    add_eight<Rows>(a, p, y, high);
  }
  for (int i = 0; i < Rows; ++i) {
    _mm256_storeu_ps(sum[i], low[i]);
    _mm256_storeu_ps(sum[i] + 8, high[i]);
  }
  for (; p < last; ++p) {
    for (int i = 0; i < Rows; ++i) {
      for (int j = 0; j < kFewColumns; ++j) {
        sum[i][j] = __builtin_fmaf(a[i][p], b.row[j][p], sum[i][j]);
      }
    }
  }
}

/// c[rows, columns] at (row, column) = alpha * a b^T + beta * c, `step` depths at a time.
template <int Rows>
void few_rows_product(const Operand<float>& a, const Operand<float>& b, const Block& columns,
                      std::int64_t row, std::int64_t step, MicroArgs<Plain<float>> args) {
  const float* rows[Rows];
  for (int i = 0; i < Rows; ++i) rows[i] = a.row_at(row + i);
  const float beta = args.beta;
  for (std::int64_t j = 0; j < columns.lanes; j += kFewColumns) {
    FewColumns here;
    const std::int64_t last = columns.lanes - 1;
    for (int l = 0; l < kFewColumns; ++l) {
      const std::int64_t at = j + l < last ? j + l : last;
      const std::int64_t next = at + kFewColumns < last ? at + kFewColumns : last;
      here.row[l] = b.row_at(columns.lane + at);
      here.ahead[l] = b.row_at(columns.lane + next);
    }
    const std::int64_t count = last + 1 - j < kFewColumns ? last + 1 - j : kFewColumns;
    for (std::int64_t p = 0; p < columns.depths; p += step) {
      float sum[Rows][kFewColumns];
      few_sums<Rows>(rows, here, p, columns.depths - p < step ? columns.depths : p + step, sum);
      args.beta = p == 0 ? beta : 1.0F;
      for (int i = 0; i < Rows; ++i) {
        float* c = args.c + i * args.c_stride + j;
        for_vectors<float>(count, [&](std::int64_t l, auto lanes) {
          write_lanes(args, load(sum[i] + l, lanes), c + l, lanes);
        });
      }
    }
  }
}

}  // namespace
}  // namespace moe::kernels::MOE_ISA
