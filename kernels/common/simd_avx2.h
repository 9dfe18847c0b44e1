/// Vector primitives on AVX2 + FMA. Include kernels/common/simd.h instead.
#pragma once

#include "kernels/common/simd_base.h"

namespace moe::kernels::MOE_ISA {
namespace {

template <>
struct Vec<float> {
  static constexpr int kLanes = 8;
  __m256 v;
};
template <>
struct Vec<double> {
  static constexpr int kLanes = 4;
  __m256d v;
};
template <>
struct Mask<float> {
  __m256 m;
};
template <>
struct Mask<double> {
  __m256d m;
};

MOE_INLINE Vec<float> broadcast(float x) {
  return {_mm256_set1_ps(x)};
}
MOE_INLINE Vec<double> broadcast(double x) {
  return {_mm256_set1_pd(x)};
}
MOE_INLINE Vec<float> iota(Type<float>) {
  return {_mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7)};
}
MOE_INLINE Vec<double> iota(Type<double>) {
  return {_mm256_setr_pd(0, 1, 2, 3)};
}

MOE_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return {_mm256_fmadd_ps(a.v, b.v, c.v)};
}
MOE_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return {_mm256_fmadd_pd(a.v, b.v, c.v)};
}
MOE_INLINE Vec<float> max(Vec<float> a, Vec<float> b) {
  return {_mm256_max_ps(a.v, b.v)};
}
MOE_INLINE Vec<double> max(Vec<double> a, Vec<double> b) {
  return {_mm256_max_pd(a.v, b.v)};
}
MOE_INLINE Vec<float> min(Vec<float> a, Vec<float> b) {
  return {_mm256_min_ps(a.v, b.v)};
}
MOE_INLINE Vec<double> min(Vec<double> a, Vec<double> b) {
  return {_mm256_min_pd(a.v, b.v)};
}
MOE_INLINE Vec<float> sqrt(Vec<float> x) {
  return {_mm256_sqrt_ps(x.v)};
}
MOE_INLINE Vec<double> sqrt(Vec<double> x) {
  return {_mm256_sqrt_pd(x.v)};
}
MOE_INLINE Vec<float> abs(Vec<float> x) {
  return {_mm256_andnot_ps(_mm256_set1_ps(-0.0F), x.v)};
}
MOE_INLINE Vec<double> abs(Vec<double> x) {
  return {_mm256_andnot_pd(_mm256_set1_pd(-0.0), x.v)};
}
MOE_INLINE Vec<float> copy_sign(Vec<float> magnitude, Vec<float> sign) {
  return {_mm256_or_ps(magnitude.v, _mm256_and_ps(sign.v, _mm256_set1_ps(-0.0F)))};
}
MOE_INLINE Vec<double> copy_sign(Vec<double> magnitude, Vec<double> sign) {
  return {_mm256_or_pd(magnitude.v, _mm256_and_pd(sign.v, _mm256_set1_pd(-0.0)))};
}
MOE_INLINE Vec<float> round_to_integer(Vec<float> x) {
  return {_mm256_round_ps(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
MOE_INLINE Vec<double> round_to_integer(Vec<double> x) {
  return {_mm256_round_pd(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
// In two factors, so that results beyond the range of one exponent (denormals) come out right.
MOE_INLINE Vec<float> times_power_of_two(Vec<float> x, Vec<float> n) {
  const __m256i whole = _mm256_cvtps_epi32(n.v);
  const __m256i half = _mm256_srai_epi32(whole, 1);
  const __m256i rest = _mm256_sub_epi32(whole, half);
  const __m256i bias = _mm256_set1_epi32(127);
  const __m256 a = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
  const __m256 b = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
  return {_mm256_mul_ps(_mm256_mul_ps(x.v, a), b)};
}
MOE_INLINE Vec<double> times_power_of_two(Vec<double> x, Vec<double> n) {
  const __m128i whole = _mm256_cvtpd_epi32(n.v);
  const __m128i half = _mm_srai_epi32(whole, 1);
  const __m128i rest = _mm_sub_epi32(whole, half);
  const __m128i bias = _mm_set1_epi32(1023);
  const __m256d a =
      _mm256_castsi256_pd(_mm256_slli_epi64(_mm256_cvtepi32_epi64(_mm_add_epi32(half, bias)), 52));
  const __m256d b =
      _mm256_castsi256_pd(_mm256_slli_epi64(_mm256_cvtepi32_epi64(_mm_add_epi32(rest, bias)), 52));
  return {_mm256_mul_pd(_mm256_mul_pd(x.v, a), b)};
}

MOE_INLINE Mask<float> operator<(Vec<float> a, Vec<float> b) {
  return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)};
}
MOE_INLINE Mask<double> operator<(Vec<double> a, Vec<double> b) {
  return {_mm256_cmp_pd(a.v, b.v, _CMP_LT_OQ)};
}
MOE_INLINE Mask<float> operator<=(Vec<float> a, Vec<float> b) {
  return {_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)};
}
MOE_INLINE Mask<double> operator<=(Vec<double> a, Vec<double> b) {
  return {_mm256_cmp_pd(a.v, b.v, _CMP_LE_OQ)};
}
MOE_INLINE Mask<float> operator==(Vec<float> a, Vec<float> b) {
  return {_mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ)};
}
MOE_INLINE Mask<double> operator==(Vec<double> a, Vec<double> b) {
  return {_mm256_cmp_pd(a.v, b.v, _CMP_EQ_OQ)};
}
MOE_INLINE Mask<float> is_nan(Vec<float> x) {
  return {_mm256_cmp_ps(x.v, x.v, _CMP_UNORD_Q)};
}
MOE_INLINE Mask<double> is_nan(Vec<double> x) {
  return {_mm256_cmp_pd(x.v, x.v, _CMP_UNORD_Q)};
}
MOE_INLINE Mask<float> operator&(Mask<float> a, Mask<float> b) {
  return {_mm256_and_ps(a.m, b.m)};
}
MOE_INLINE Mask<double> operator&(Mask<double> a, Mask<double> b) {
  return {_mm256_and_pd(a.m, b.m)};
}
MOE_INLINE Mask<float> operator|(Mask<float> a, Mask<float> b) {
  return {_mm256_or_ps(a.m, b.m)};
}
MOE_INLINE Mask<double> operator|(Mask<double> a, Mask<double> b) {
  return {_mm256_or_pd(a.m, b.m)};
}
MOE_INLINE int count(Mask<float> mask) {
  return __builtin_popcount(static_cast<unsigned>(_mm256_movemask_ps(mask.m)));
}
MOE_INLINE int count(Mask<double> mask) {
  return __builtin_popcount(static_cast<unsigned>(_mm256_movemask_pd(mask.m)));
}
MOE_INLINE __m256i first_i32(First lanes) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(lanes.count),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
MOE_INLINE __m256i first_i64(First lanes) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(lanes.count), _mm256_setr_epi64x(0, 1, 2, 3));
}
MOE_INLINE __m128i first_of_four(First lanes) {
  return _mm_cmpgt_epi32(_mm_set1_epi32(lanes.count), _mm_setr_epi32(0, 1, 2, 3));
}
MOE_INLINE Mask<float> first(Type<float>, First lanes) {
  return {_mm256_castsi256_ps(first_i32(lanes))};
}
MOE_INLINE Mask<double> first(Type<double>, First lanes) {
  return {_mm256_castsi256_pd(first_i64(lanes))};
}
MOE_INLINE Vec<float> select(Mask<float> mask, Vec<float> a, Vec<float> b) {
  return {_mm256_blendv_ps(b.v, a.v, mask.m)};
}
MOE_INLINE Vec<double> select(Mask<double> mask, Vec<double> a, Vec<double> b) {
  return {_mm256_blendv_pd(b.v, a.v, mask.m)};
}

MOE_INLINE float reduce_add(Vec<float> x) {
  const __m128 four = _mm256_castps256_ps128(x.v) + _mm256_extractf128_ps(x.v, 1);
  const __m128 two = four + _mm_movehl_ps(four, four);
  return two[0] + two[1];
}
MOE_INLINE double reduce_add(Vec<double> x) {
  const __m128d two = _mm256_castpd256_pd128(x.v) + _mm256_extractf128_pd(x.v, 1);
  return two[0] + two[1];
}
MOE_INLINE float reduce_max(Vec<float> x) {
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(x.v), _mm256_extractf128_ps(x.v, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return two[0] > two[1] ? two[0] : two[1];
}
MOE_INLINE double reduce_max(Vec<double> x) {
  const __m128d two = _mm_max_pd(_mm256_castpd256_pd128(x.v), _mm256_extractf128_pd(x.v, 1));
  return two[0] > two[1] ? two[0] : two[1];
}
MOE_INLINE float reduce_min(Vec<float> x) {
  const __m128 four = _mm_min_ps(_mm256_castps256_ps128(x.v), _mm256_extractf128_ps(x.v, 1));
  const __m128 two = _mm_min_ps(four, _mm_movehl_ps(four, four));
  return two[0] < two[1] ? two[0] : two[1];
}
MOE_INLINE double reduce_min(Vec<double> x) {
  const __m128d two = _mm_min_pd(_mm256_castpd256_pd128(x.v), _mm256_extractf128_pd(x.v, 1));
  return two[0] < two[1] ? two[0] : two[1];
}

MOE_INLINE __m256 bf16_to_f32(__m128i bits) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
MOE_INLINE __m256i bf16_bits(__m256 x) {
  const __m256i raw = _mm256_castps_si256(x);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(raw, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(raw, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i quiet = _mm256_or_si256(raw, _mm256_set1_epi32(0x400000));
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  return _mm256_blendv_epi8(rounded, quiet, nan);
}
MOE_INLINE __m128i f32_to_bf16(__m256 x) {
  const __m256i high = _mm256_srli_epi32(bf16_bits(x), 16);
  return _mm_packus_epi32(_mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1));
}
MOE_INLINE Vec<float> round_to_bf16(Vec<float> x) {
  return {_mm256_castsi256_ps(
      _mm256_and_si256(bf16_bits(x.v), _mm256_set1_epi32(static_cast<int>(0xffff0000U))))};
}
// 16-bit lanes have no masked move before AVX-512: the tail goes through the stack.
MOE_INLINE __m128i load_first_bf16(const BFloat16* p, First lanes) {
  alignas(16) std::uint16_t bits[8] = {};
  for (int i = 0; i < lanes.count; ++i) bits[i] = p[i].bits;
  return _mm_load_si128(reinterpret_cast<const __m128i*>(bits));
}
MOE_INLINE void store_first_bf16(BFloat16* p, __m128i packed, First lanes) {
  alignas(16) std::uint16_t bits[8];
  _mm_store_si128(reinterpret_cast<__m128i*>(bits), packed);
  for (int i = 0; i < lanes.count; ++i) p[i].bits = bits[i];
}

MOE_INLINE Vec<float> load_vector(Type<float>, const float* p, All) {
  return {_mm256_loadu_ps(p)};
}
MOE_INLINE Vec<float> load_vector(Type<float>, const float* p, First lanes) {
  return {_mm256_maskload_ps(p, first_i32(lanes))};
}
MOE_INLINE Vec<float> load_vector(Type<float>, const BFloat16* p, All) {
  return {bf16_to_f32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
MOE_INLINE Vec<float> load_vector(Type<float>, const BFloat16* p, First lanes) {
  return {bf16_to_f32(load_first_bf16(p, lanes))};
}
MOE_INLINE Vec<double> load_vector(Type<double>, const double* p, All) {
  return {_mm256_loadu_pd(p)};
}
MOE_INLINE Vec<double> load_vector(Type<double>, const double* p, First lanes) {
  return {_mm256_maskload_pd(p, first_i64(lanes))};
}
MOE_INLINE Vec<double> load_vector(Type<double>, const float* p, All) {
  return {_mm256_cvtps_pd(_mm_loadu_ps(p))};
}
MOE_INLINE Vec<double> load_vector(Type<double>, const float* p, First lanes) {
  return {_mm256_cvtps_pd(_mm_maskload_ps(p, first_of_four(lanes)))};
}
MOE_INLINE Vec<double> load_vector(Type<double>, const BFloat16* p, All) {
  const __m128i bits = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  return {_mm256_cvtps_pd(_mm256_castps256_ps128(bf16_to_f32(bits)))};
}
MOE_INLINE Vec<double> load_vector(Type<double>, const BFloat16* p, First lanes) {
  return {_mm256_cvtps_pd(_mm256_castps256_ps128(bf16_to_f32(load_first_bf16(p, lanes))))};
}

MOE_INLINE void store(float* p, Vec<float> x, All = {}) {
  _mm256_storeu_ps(p, x.v);
}
MOE_INLINE void store(float* p, Vec<float> x, First lanes) {
  _mm256_maskstore_ps(p, first_i32(lanes), x.v);
}
MOE_INLINE void store(BFloat16* p, Vec<float> x, All = {}) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), f32_to_bf16(x.v));
}
MOE_INLINE void store(BFloat16* p, Vec<float> x, First lanes) {
  store_first_bf16(p, f32_to_bf16(x.v), lanes);
}
MOE_INLINE void store(double* p, Vec<double> x, All = {}) {
  _mm256_storeu_pd(p, x.v);
}
MOE_INLINE void store(double* p, Vec<double> x, First lanes) {
  _mm256_maskstore_pd(p, first_i64(lanes), x.v);
}
MOE_INLINE void store(float* p, Vec<double> x, All = {}) {
  _mm_storeu_ps(p, _mm256_cvtpd_ps(x.v));
}
MOE_INLINE void store(float* p, Vec<double> x, First lanes) {
  _mm_maskstore_ps(p, first_of_four(lanes), _mm256_cvtpd_ps(x.v));
}
MOE_INLINE __m128i narrow_to_bf16(Vec<double> x) {
  return f32_to_bf16(_mm256_zextps128_ps256(_mm256_cvtpd_ps(x.v)));
}
MOE_INLINE void store(BFloat16* p, Vec<double> x, All = {}) {
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), narrow_to_bf16(x));
}
MOE_INLINE void store(BFloat16* p, Vec<double> x, First lanes) {
  store_first_bf16(p, narrow_to_bf16(x), lanes);
}

}  // namespace
}  // namespace moe::kernels::MOE_ISA
