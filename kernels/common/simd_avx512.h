/// Vector primitives on AVX-512 (F, BW, DQ, VL). Include kernels/common/simd.h instead.
#pragma once

#include "kernels/common/simd_base.h"

namespace moe::kernels::MOE_ISA {
namespace {

template <>
struct Vec<float> {
  static constexpr int kLanes = 16;
  __m512 v;
};
template <>
struct Vec<double> {
  static constexpr int kLanes = 8;
  __m512d v;
};
template <>
struct Mask<float> {
  __mmask16 m;
};
template <>
struct Mask<double> {
  __mmask8 m;
};

MOE_INLINE Vec<float> broadcast(float x) {
  return {_mm512_set1_ps(x)};
}
MOE_INLINE Vec<double> broadcast(double x) {
  return {_mm512_set1_pd(x)};
}
MOE_INLINE Vec<float> iota(Type<float>) {
  return {_mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)};
}
MOE_INLINE Vec<double> iota(Type<double>) {
  return {_mm512_setr_pd(0, 1, 2, 3, 4, 5, 6, 7)};
}

MOE_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}
MOE_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return {_mm512_fmadd_pd(a.v, b.v, c.v)};
}
MOE_INLINE Vec<float> max(Vec<float> a, Vec<float> b) {
  return {_mm512_max_ps(a.v, b.v)};
}
MOE_INLINE Vec<double> max(Vec<double> a, Vec<double> b) {
  return {_mm512_max_pd(a.v, b.v)};
}
MOE_INLINE Vec<float> min(Vec<float> a, Vec<float> b) {
  return {_mm512_min_ps(a.v, b.v)};
}
MOE_INLINE Vec<double> min(Vec<double> a, Vec<double> b) {
  return {_mm512_min_pd(a.v, b.v)};
}
MOE_INLINE Vec<float> sqrt(Vec<float> x) {
  return {_mm512_sqrt_ps(x.v)};
}
MOE_INLINE Vec<double> sqrt(Vec<double> x) {
  return {_mm512_sqrt_pd(x.v)};
}
MOE_INLINE Vec<float> abs(Vec<float> x) {
  return {_mm512_abs_ps(x.v)};
}
MOE_INLINE Vec<double> abs(Vec<double> x) {
  return {_mm512_abs_pd(x.v)};
}
MOE_INLINE Vec<float> copy_sign(Vec<float> magnitude, Vec<float> sign) {
  return {_mm512_or_ps(magnitude.v, _mm512_and_ps(sign.v, _mm512_set1_ps(-0.0F)))};
}
MOE_INLINE Vec<double> copy_sign(Vec<double> magnitude, Vec<double> sign) {
  return {_mm512_or_pd(magnitude.v, _mm512_and_pd(sign.v, _mm512_set1_pd(-0.0)))};
}
MOE_INLINE Vec<float> round_to_integer(Vec<float> x) {
  return {_mm512_roundscale_ps(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
MOE_INLINE Vec<double> round_to_integer(Vec<double> x) {
  return {_mm512_roundscale_pd(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
MOE_INLINE Vec<float> times_power_of_two(Vec<float> x, Vec<float> n) {
  return {_mm512_scalef_ps(x.v, n.v)};
}
MOE_INLINE Vec<double> times_power_of_two(Vec<double> x, Vec<double> n) {
  return {_mm512_scalef_pd(x.v, n.v)};
}

MOE_INLINE Mask<float> operator<(Vec<float> a, Vec<float> b) {
  return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)};
}
MOE_INLINE Mask<double> operator<(Vec<double> a, Vec<double> b) {
  return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_LT_OQ)};
}
MOE_INLINE Mask<float> operator<=(Vec<float> a, Vec<float> b) {
  return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)};
}
MOE_INLINE Mask<double> operator<=(Vec<double> a, Vec<double> b) {
  return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_LE_OQ)};
}
MOE_INLINE Mask<float> operator==(Vec<float> a, Vec<float> b) {
  return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)};
}
MOE_INLINE Mask<double> operator==(Vec<double> a, Vec<double> b) {
  return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_EQ_OQ)};
}
MOE_INLINE Mask<float> is_nan(Vec<float> x) {
  return {_mm512_cmp_ps_mask(x.v, x.v, _CMP_UNORD_Q)};
}
MOE_INLINE Mask<double> is_nan(Vec<double> x) {
  return {_mm512_cmp_pd_mask(x.v, x.v, _CMP_UNORD_Q)};
}
template <class C>
MOE_INLINE Mask<C> operator&(Mask<C> a, Mask<C> b) {
  return {static_cast<decltype(a.m)>(a.m & b.m)};
}
template <class C>
MOE_INLINE Mask<C> operator|(Mask<C> a, Mask<C> b) {
  return {static_cast<decltype(a.m)>(a.m | b.m)};
}
template <class C>
MOE_INLINE int count(Mask<C> mask) {
  return __builtin_popcount(mask.m);
}
MOE_INLINE Mask<float> first(Type<float>, First lanes) {
  return {static_cast<__mmask16>((1U << lanes.count) - 1U)};
}
MOE_INLINE Mask<double> first(Type<double>, First lanes) {
  return {static_cast<__mmask8>((1U << lanes.count) - 1U)};
}
MOE_INLINE Vec<float> select(Mask<float> mask, Vec<float> a, Vec<float> b) {
  return {_mm512_mask_blend_ps(mask.m, b.v, a.v)};
}
MOE_INLINE Vec<double> select(Mask<double> mask, Vec<double> a, Vec<double> b) {
  return {_mm512_mask_blend_pd(mask.m, b.v, a.v)};
}

MOE_INLINE float reduce_add(Vec<float> x) {
  const __m256 half = _mm512_castps512_ps256(x.v) + _mm512_extractf32x8_ps(x.v, 1);
  const __m128 quarter = _mm256_castps256_ps128(half) + _mm256_extractf128_ps(half, 1);
  const __m128 two = quarter + _mm_movehl_ps(quarter, quarter);
  return two[0] + two[1];
}
MOE_INLINE double reduce_add(Vec<double> x) {
  const __m256d half = _mm512_castpd512_pd256(x.v) + _mm512_extractf64x4_pd(x.v, 1);
  const __m128d two = _mm256_castpd256_pd128(half) + _mm256_extractf128_pd(half, 1);
  return two[0] + two[1];
}
MOE_INLINE float reduce_max(Vec<float> x) {
  return _mm512_reduce_max_ps(x.v);
}
MOE_INLINE double reduce_max(Vec<double> x) {
  return _mm512_reduce_max_pd(x.v);
}
MOE_INLINE float reduce_min(Vec<float> x) {
  return _mm512_reduce_min_ps(x.v);
}
MOE_INLINE double reduce_min(Vec<double> x) {
  return _mm512_reduce_min_pd(x.v);
}

// bf16 <-> f32 in integer code: vcvtneps2bf16 flushes denormals, so it would round differently.
MOE_INLINE __m512 bf16_to_f32(__m256i bits) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}
MOE_INLINE __m512i bf16_bits(__m512 x) {
  const __m512i raw = _mm512_castps_si512(x);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(raw, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(raw, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  return _mm512_mask_or_epi32(rounded, nan, raw, _mm512_set1_epi32(0x400000));
}
MOE_INLINE __m256i f32_to_bf16(__m512 x) {
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(bf16_bits(x), 16));
}
MOE_INLINE Vec<float> round_to_bf16(Vec<float> x) {
  return {_mm512_castsi512_ps(
      _mm512_and_si512(bf16_bits(x.v), _mm512_set1_epi32(static_cast<int>(0xffff0000U))))};
}

MOE_INLINE Vec<float> load_vector(Type<float>, const float* p, All) {
  return {_mm512_loadu_ps(p)};
}
MOE_INLINE Vec<float> load_vector(Type<float>, const float* p, First lanes) {
  return {_mm512_maskz_loadu_ps(first(Type<float>{}, lanes).m, p)};
}
MOE_INLINE Vec<float> load_vector(Type<float>, const BFloat16* p, All) {
  return {bf16_to_f32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
MOE_INLINE Vec<float> load_vector(Type<float>, const BFloat16* p, First lanes) {
  return {bf16_to_f32(_mm256_maskz_loadu_epi16(first(Type<float>{}, lanes).m, p))};
}
MOE_INLINE Vec<double> load_vector(Type<double>, const double* p, All) {
  return {_mm512_loadu_pd(p)};
}
MOE_INLINE Vec<double> load_vector(Type<double>, const double* p, First lanes) {
  return {_mm512_maskz_loadu_pd(first(Type<double>{}, lanes).m, p)};
}
MOE_INLINE Vec<double> load_vector(Type<double>, const float* p, All) {
  return {_mm512_cvtps_pd(_mm256_loadu_ps(p))};
}
MOE_INLINE Vec<double> load_vector(Type<double>, const float* p, First lanes) {
  return {_mm512_cvtps_pd(_mm256_maskz_loadu_ps(first(Type<double>{}, lanes).m, p))};
}
MOE_INLINE __m256 bf16_to_f32(__m128i bits) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
MOE_INLINE Vec<double> load_vector(Type<double>, const BFloat16* p, All) {
  return {_mm512_cvtps_pd(bf16_to_f32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))};
}
MOE_INLINE Vec<double> load_vector(Type<double>, const BFloat16* p, First lanes) {
  return {_mm512_cvtps_pd(bf16_to_f32(_mm_maskz_loadu_epi16(first(Type<double>{}, lanes).m, p)))};
}

MOE_INLINE void store(float* p, Vec<float> x, All = {}) {
  _mm512_storeu_ps(p, x.v);
}
MOE_INLINE void store(float* p, Vec<float> x, First lanes) {
  _mm512_mask_storeu_ps(p, first(Type<float>{}, lanes).m, x.v);
}
MOE_INLINE void store(BFloat16* p, Vec<float> x, All = {}) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), f32_to_bf16(x.v));
}
MOE_INLINE void store(BFloat16* p, Vec<float> x, First lanes) {
  _mm256_mask_storeu_epi16(p, first(Type<float>{}, lanes).m, f32_to_bf16(x.v));
}
MOE_INLINE void store(double* p, Vec<double> x, All = {}) {
  _mm512_storeu_pd(p, x.v);
}
MOE_INLINE void store(double* p, Vec<double> x, First lanes) {
  _mm512_mask_storeu_pd(p, first(Type<double>{}, lanes).m, x.v);
}
MOE_INLINE void store(float* p, Vec<double> x, All = {}) {
  _mm256_storeu_ps(p, _mm512_cvtpd_ps(x.v));
}
MOE_INLINE void store(float* p, Vec<double> x, First lanes) {
  _mm256_mask_storeu_ps(p, first(Type<double>{}, lanes).m, _mm512_cvtpd_ps(x.v));
}
MOE_INLINE __m128i narrow_to_bf16(Vec<double> x) {
  return _mm256_castsi256_si128(f32_to_bf16(_mm512_zextps256_ps512(_mm512_cvtpd_ps(x.v))));
}
MOE_INLINE void store(BFloat16* p, Vec<double> x, All = {}) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), narrow_to_bf16(x));
}
MOE_INLINE void store(BFloat16* p, Vec<double> x, First lanes) {
  _mm_mask_storeu_epi16(p, first(Type<double>{}, lanes).m, narrow_to_bf16(x));
}

}  // namespace
}  // namespace moe::kernels::MOE_ISA
