/// The innermost product: a few rows by two registers of columns, summed over the depth in order.
/// Every row goes through the same operations whatever rows stand beside it, so a row's bits depend
/// on nothing but that row, op(b) and the cut of the depth.
/// Internal to *_cpu.cpp files: everything has internal linkage.
/// @paper Van Zee 2015, BLIS, doi:10.1145/2764454
#pragma once

#include "kernels/common/simd.h"

namespace moe::kernels::MOE_ISA {
namespace {

/// Rows and registers of columns of one product: 24 accumulators of 32 registers, or 12 of 16.
#ifdef __AVX512F__
constexpr int kMicroRows = 8;
#else
constexpr int kMicroRows = 4;
#endif
constexpr int kMicroVectors = 3;

/// How numbers are multiplied: the packed element of a and b, the accumulator, and how many depths
/// one packed element spans.
template <class C>
struct Plain {
  using Packed = C;
  using Acc = C;
  static constexpr int kSpan = 1;
  MOE_INLINE static Vec<C> load_b(const C* p) { return load(p); }
  MOE_INLINE static Vec<C> fill_a(C x) { return broadcast(x); }
  MOE_INLINE static Vec<C> multiply_add(Vec<C> a, Vec<C> b, Vec<C> c) { return fma(a, b, c); }
  MOE_INLINE static void store_packed(C* to, const Vec<C> (&depth)[1]) { store(to, depth[0]); }
};

#ifdef __AVX512BF16__
/// Two bf16 of consecutive depths in one 32-bit element; products are exact, sums in f32.
struct Bf16Pairs {
  using Packed = std::uint32_t;
  using Acc = float;
  static constexpr int kSpan = 2;
  MOE_INLINE static __m512i load_b(const std::uint32_t* p) { return _mm512_loadu_si512(p); }
  MOE_INLINE static __m512i fill_a(std::uint32_t x) {
    return _mm512_set1_epi32(static_cast<int>(x));
  }
  /// Rounds the numbers of consecutive depths. Denormals become zero, as the product takes them.
  MOE_INLINE static void store_packed(std::uint32_t* to, const Vec<float> (&depth)[2]) {
    const auto rounded = [](Vec<float> x) {
      return _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x.v)));
    };
    const __m512i high = _mm512_slli_epi32(rounded(depth[1]), 16);
    _mm512_storeu_si512(to, _mm512_or_si512(rounded(depth[0]), high));
  }
  MOE_INLINE static Vec<float> multiply_add(__m512i a, __m512i b, Vec<float> c) {
    return {_mm512_dpbf16_ps(c.v, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b))};
  }
};
#endif

/// How bf16 is multiplied here: natively, or widened to f32.
#ifdef __AVX512BF16__
using Bf16Mode = Bf16Pairs;
#else
using Bf16Mode = Plain<float>;
#endif

template <class S>
struct ModeOf {
  using type = Plain<S>;
};
template <>
struct ModeOf<BFloat16> {
  using type = Bf16Mode;
};

/// Columns of one panel of b.
template <class Mode>
constexpr int kPanel = kMicroVectors * kLanes<typename Mode::Acc>;

/// c[i, j] = alpha * sum over p of a[p * a_stride + i] b[p * b_stride + j] + beta * c[i, j], for
/// `columns` <= kPanel columns; kPanel elements of b can be read at any p.
template <class Mode>
struct MicroArgs {
  using Packed = typename Mode::Packed;
  using Acc = typename Mode::Acc;
  std::int64_t depth;
  const Packed* a;
  std::int64_t a_stride;
  const Packed* b;
  std::int64_t b_stride;
  Acc* c;
  std::int64_t c_stride;
  std::int64_t columns;
  Acc alpha;
  Acc beta;
};

template <class Mode, int Rows, int Vectors>
using Accumulators = Vec<typename Mode::Acc>[Rows][Vectors];

template <class Mode, int Rows, int Vectors>
MOE_INLINE void multiply(const MicroArgs<Mode>& args, Accumulators<Mode, Rows, Vectors>& acc) {
  using Acc = typename Mode::Acc;
  const auto* a = args.a;
  const auto* b = args.b;
  const std::int64_t a_stride = args.a_stride;
  const std::int64_t b_stride = args.b_stride;
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) acc[i][j] = zero<Acc>();
  }
#pragma GCC unroll 2
  for (std::int64_t p = 0; p < args.depth; ++p) {
    decltype(Mode::load_b(b)) line[Vectors];
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) line[j] = Mode::load_b(b + j * kLanes<Acc>);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const auto x = Mode::fill_a(a[i]);
#pragma GCC unroll 4
      for (int j = 0; j < Vectors; ++j) acc[i][j] = Mode::multiply_add(x, line[j], acc[i][j]);
    }
    a += a_stride;
    b += b_stride;
  }
}

template <class C>
MOE_INLINE Vec<C> blend(Vec<C> product, Vec<C> c, C beta) {
  return beta == 1 ? c + product : fma(broadcast(beta), c, product);
}

/// One register of a row of c.
template <class Mode, class Lanes>
MOE_INLINE void write_lanes(const MicroArgs<Mode>& args, Vec<typename Mode::Acc> product,
                            typename Mode::Acc* c, Lanes lanes) {
  if (args.alpha != 1) product = product * broadcast(args.alpha);
  if (args.beta != 0) product = blend(product, load(c, lanes), args.beta);
  store(c, product, lanes);
}

template <class Mode, int Rows, int Vectors>
MOE_INLINE void write_tile(const MicroArgs<Mode>& args, Accumulators<Mode, Rows, Vectors>& acc) {
  constexpr int kWidth = kLanes<typename Mode::Acc>;
  const bool whole = args.columns == Vectors * kWidth;
  const First rest{static_cast<int>(args.columns - (Vectors - 1) * kWidth)};
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
    auto* c = args.c + i * args.c_stride;
#pragma GCC unroll 4
    for (int j = 0; j + 1 < Vectors; ++j) write_lanes(args, acc[i][j], c + j * kWidth, All{});
    auto* last = c + (Vectors - 1) * kWidth;
    if (whole) {
      write_lanes(args, acc[i][Vectors - 1], last, All{});
    } else {
      write_lanes(args, acc[i][Vectors - 1], last, rest);
    }
  }
}

template <class Mode, int Rows, int Vectors>
__attribute__((noinline)) void micro(const MicroArgs<Mode>& args) {
  if (args.beta != 0) {  // c is needed at the end: fetch it meanwhile
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < Vectors; ++j) {
        __builtin_prefetch(args.c + i * args.c_stride + j * kLanes<typename Mode::Acc>, 1);
      }
    }
  }
  Accumulators<Mode, Rows, Vectors> acc;
  multiply<Mode, Rows, Vectors>(args, acc);
  write_tile<Mode, Rows, Vectors>(args, acc);
}

/// The version for `rows` and columns: whole panels first, it is the one that matters.
template <class Mode, int Vectors = kMicroVectors, int Rows = kMicroRows>
MOE_INLINE void run_micro(std::int64_t rows, const MicroArgs<Mode>& args) {
  if (rows < Rows) {
    if constexpr (Rows > 1) run_micro<Mode, Vectors, Rows - 1>(rows, args);
    return;
  }
  if (args.columns > (Vectors - 1) * kLanes<typename Mode::Acc>) {
    return micro<Mode, Rows, Vectors>(args);
  }
  if constexpr (Vectors > 1) run_micro<Mode, Vectors - 1, Rows>(rows, args);
}

/// Rows of a times panels of b; args.a, b, c at the first of each. b's panels are depth * kPanel
/// apart, a's blocks of kMicroRows rows `a_block`.
template <class Mode>
void multiply_panels(MicroArgs<Mode> args, std::int64_t rows, std::int64_t a_block,
                     std::int64_t columns) {
  const auto* a = args.a;
  const auto* b = args.b;
  auto* c = args.c;
  for (std::int64_t j = 0; j < columns; j += kPanel<Mode>) {
    args.b = b + j * args.depth;
    args.columns = columns - j < kPanel<Mode> ? columns - j : kPanel<Mode>;
    for (std::int64_t i = 0; i < rows; i += kMicroRows) {
      args.a = a + i / kMicroRows * a_block;
      args.c = c + i * args.c_stride + j;
      run_micro<Mode>(rows - i, args);
    }
  }
}

}  // namespace
}  // namespace moe::kernels::MOE_ISA
