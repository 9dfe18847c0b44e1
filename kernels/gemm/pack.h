/// Brings tiles of a and b into the order the microkernel reads them in.
/// Internal to *_cpu.cpp files: everything has internal linkage.
#pragma once

#include <cstring>

#include "kernels/gemm/microkernel.h"
#include "tensor/dtype.h"

namespace moe::kernels::MOE_ISA {
namespace {

/// A matrix seen as lanes (rows of op(a), columns of op(b)) by depths (the summed dim).
template <class S>
struct Operand {
  const S* data = nullptr;
  std::int64_t stride = 0;
  /// Depths of a lane adjoin (rows are lanes); else lanes of a depth adjoin (rows are depths).
  bool depth_contiguous = true;
  /// Gather map of rows, or null.
  const std::int32_t* row = nullptr;
  /// Rows come `inner` at a time from each step of `stride`, `inner_stride` apart (heads of a token).
  std::int64_t inner = 1;
  std::int64_t inner_stride = 0;

  MOE_INLINE const S* row_at(std::int64_t r) const {
    if (row != nullptr) return data + row[r] * stride;
    if (inner == 1) return data + r * stride;
    return data + r / inner * stride + r % inner * inner_stride;
  }
};

MOE_INLINE float widen(float x) { return x; }
MOE_INLINE double widen(double x) { return x; }
MOE_INLINE float widen(BFloat16 x) { return read<float>(&x); }

/// Packed element p of one row, of which `size` elements exist (a missing second half is zero).
template <class Mode, class S>
MOE_INLINE typename Mode::Packed element(const S* row, std::int64_t p,
                                                            std::int64_t size) {
  if constexpr (Mode::kSpan == 2) {
    const std::uint32_t low = row[2 * p].bits;
    const std::uint32_t high = 2 * p + 1 < size ? row[2 * p + 1].bits : 0U;
    return low | (high << 16);
  } else {
    return widen(row[p]);
  }
}

/// Packed elements of `lanes` lanes at one packed depth, from rows whose lanes adjoin.
template <class Mode, class S>
MOE_INLINE void copy_lanes(const S* first, const S* second, std::int64_t lanes,
                                              typename Mode::Packed* to) {
  if constexpr (Mode::kSpan == 2) {
    if (second == nullptr) {
      for (std::int64_t i = 0; i < lanes; ++i) to[i] = first[i].bits;
    } else {
      for (std::int64_t i = 0; i < lanes; ++i) {
        to[i] = static_cast<std::uint32_t>(first[i].bits) |
                (static_cast<std::uint32_t>(second[i].bits) << 16);
      }
    }
  } else {
    (void)second;
    for (std::int64_t i = 0; i < lanes; ++i) to[i] = widen(first[i]);
  }
}

/// Where a block stands: lanes [lane, lane + lanes), depths [depth, depth + depths).
struct Block {
  std::int64_t lane;
  std::int64_t lanes;
  std::int64_t depth;
  std::int64_t depths;
};

template <class Mode>
constexpr std::int64_t packed_depths(std::int64_t depths) {
  return (depths + Mode::kSpan - 1) / Mode::kSpan;
}

template <class Mode, class S>
const S* second_row(const Operand<S>& x, const Block& block, std::int64_t p) {
  if constexpr (Mode::kSpan == 1) return nullptr;
  return 2 * p + 1 < block.depths ? x.row_at(block.depth + 2 * p + 1) : nullptr;
}

/// Asks for the rows of packed depth p early: they stand far apart, so the CPU does not foresee them.
template <class Mode, class S>
MOE_INLINE void fetch_rows(const Operand<S>& x, const Block& block, std::int64_t p) {
  for (int half = 0; half < Mode::kSpan; ++half) {
    const std::int64_t depth = Mode::kSpan * p + half;
    if (depth >= block.depths) return;
    const S* row = x.row_at(block.depth + depth) + block.lane;
    for (std::int64_t l = 0; l < block.lanes; l += static_cast<std::int64_t>(64 / sizeof(S))) __builtin_prefetch(row + l);
  }
}

/// Panels [ceil(lanes / Width)][packed depths, Width] from rows that are depths; lanes that do not
/// exist are zeros.
template <class Mode, int Width, class S>
void copy_panels(const Operand<S>& x, const Block& block, typename Mode::Packed* to) {
  const std::int64_t depths = packed_depths<Mode>(block.depths);
  const std::int64_t whole = block.lanes / Width * Width;
  constexpr std::int64_t kAhead = 16;
  for (std::int64_t p = 0; p < depths; ++p) {
    const S* first = x.row_at(block.depth + Mode::kSpan * p) + block.lane;
    const S* second = second_row<Mode>(x, block, p);
    if (second != nullptr) second += block.lane;
    if (p + kAhead < depths) fetch_rows<Mode>(x, block, p + kAhead);
    typename Mode::Packed* line = to + p * Width;
    std::int64_t l = 0;
    for (; l < whole; l += Width) {
      copy_lanes<Mode>(first + l, second == nullptr ? nullptr : second + l, Width,
                       line + l * depths);
    }
    if (l == block.lanes) continue;
    std::memset(line + l * depths, 0, sizeof(typename Mode::Packed) * Width);
    copy_lanes<Mode>(first + l, second == nullptr ? nullptr : second + l, block.lanes - l,
                     line + l * depths);
  }
}

/// Eight packed 32-bit elements of a row.
MOE_INLINE __m256 load8(const float* p) { return _mm256_loadu_ps(p); }
MOE_INLINE __m256 load8(const BFloat16* p, bool pairs) {
  if (pairs) return _mm256_loadu_ps(reinterpret_cast<const float*>(p));
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}

template <class Mode, class S>
MOE_INLINE __m256 load_packed8(const S* p) {
  if constexpr (sizeof(S) == 2) {
    return load8(p, Mode::kSpan == 2);
  } else {
    return load8(p);
  }
}

/// Turns an 8 x 8 block of 32-bit elements: r[p][l] becomes r[l][p].
MOE_INLINE void transpose8(__m256 (&r)[8]) {
  __m256 t[8];
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  __m256 u[8];
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {
    u[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
    u[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xEE);
    u[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    u[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xEE);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x20);
    r[i + 4] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x31);
  }
}

MOE_INLINE void transpose4(const float* const (&rows)[4], std::int64_t at, float* to,
                           std::int64_t stride) {
  __m128 r[4];
  for (int i = 0; i < 4; ++i) r[i] = _mm_loadu_ps(rows[i] + at);
  _MM_TRANSPOSE4_PS(r[0], r[1], r[2], r[3]);
  for (int i = 0; i < 4; ++i) _mm_storeu_ps(to + i * stride, r[i]);
}

/// Lanes [l, l + Count) of a panel, from rows that are lanes; `live` of them exist. The rows `ahead`
/// are asked for meanwhile.
template <class Mode, int Width, int Count, class S>
MOE_INLINE void transpose_lanes(const S* const (&rows)[Count], const S* const (&ahead)[Count],
                                int live, std::int64_t size, typename Mode::Packed* to) {
  std::int64_t p = 0;
  if constexpr (sizeof(typename Mode::Packed) == 4 && Count == 8) {
    for (; live == 8 && (p + 8) * Mode::kSpan <= size; p += 8) {
      if (p % 16 == 0) {
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i) __builtin_prefetch(ahead[i] + p * Mode::kSpan, 0, 2);
      }
      __m256 r[8];
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i) r[i] = load_packed8<Mode>(rows[i] + p * Mode::kSpan);
      transpose8(r);
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i) {
        _mm256_storeu_ps(reinterpret_cast<float*>(to + (p + i) * Width), r[i]);
      }
    }
  }
  if constexpr (sizeof(S) == 4 && Count == 4) {
    for (; live == 4 && p + 4 <= size; p += 4) transpose4(rows, p, to + p * Width, Width);
  }
  for (; p < packed_depths<Mode>(size); ++p) {
    for (int i = 0; i < Count; ++i) {
      to[p * Width + i] = i < live ? element<Mode>(rows[i], p, size) : 0;
    }
  }
}

/// The panel of the lanes from `first` on, from rows that are lanes; lanes that do not exist are zeros.
template <class Mode, int Width, class S>
void transpose_panel(const Operand<S>& x, const Block& block, std::int64_t first,
                     typename Mode::Packed* to) {
  constexpr int kCount = Width % 8 == 0 ? 8 : 4;
  constexpr std::int64_t kAhead = 2 * kCount;
  for (int l = 0; l < Width; l += kCount) {
    const S* rows[kCount] = {};
    const S* ahead[kCount] = {};
    const std::int64_t left = block.lanes - first - l;
    const int live = left >= kCount ? kCount : left > 0 ? static_cast<int>(left) : 0;
    for (int i = 0; i < live; ++i) {
      const std::int64_t lane = first + l + i;
      rows[i] = x.row_at(block.lane + lane) + block.depth;
      ahead[i] = lane + kAhead < block.lanes
                     ? x.row_at(block.lane + lane + kAhead) + block.depth
                     : rows[i];
    }
    transpose_lanes<Mode, Width, kCount>(rows, ahead, live, block.depths, to + l);
  }
}

/// Panels [ceil(lanes / Width)][packed depths, Width]; lanes that do not exist are zeros.
template <class Mode, int Width, class S>
void pack_panels(const Operand<S>& x, const Block& block, typename Mode::Packed* to) {
  if (!x.depth_contiguous) return copy_panels<Mode, Width>(x, block, to);
  const std::int64_t depths = packed_depths<Mode>(block.depths);
  for (std::int64_t l = 0; l < block.lanes; l += Width) {
    transpose_panel<Mode, Width>(x, block, l, to + l * depths);
  }
}

}  // namespace
}  // namespace moe::kernels::MOE_ISA
