/// The vector layer of every *_cpu.cpp: one program text, as many lanes as the instruction set has.
///
/// simd_math.h adds exp, tanh, erf, sigmoid. Everything lies in an unnamed namespace inside
/// moe::kernels::MOE_ISA, so that no code compiled for one instruction set can ever be linked into
/// another. For the same reason kernels use no standard container, algorithm or std::function.
///
/// @invariant load and store of BFloat16 round to nearest even and give the same bits on every ISA
/// @invariant a partial load never touches memory past the tail and fills the other lanes with
/// zeros
#pragma once

#include "kernels/common/simd_base.h"
#if defined(__AVX512F__)
#include "kernels/common/simd_avx512.h"
#else
#include "kernels/common/simd_avx2.h"
#endif

namespace moe::kernels::MOE_ISA {
namespace {

template <class C>
inline constexpr int kLanes = Vec<C>::kLanes;

template <class C>
MOE_INLINE Vec<C> zero() {
  return broadcast(C(0));
}
template <class C>
MOE_INLINE Vec<C> operator+(Vec<C> a, Vec<C> b) {
  return {a.v + b.v};
}
template <class C>
MOE_INLINE Vec<C> operator-(Vec<C> a, Vec<C> b) {
  return {a.v - b.v};
}
template <class C>
MOE_INLINE Vec<C> operator-(Vec<C> a) {
  return {-a.v};
}
template <class C>
MOE_INLINE Vec<C> operator*(Vec<C> a, Vec<C> b) {
  return {a.v * b.v};
}
template <class C>
MOE_INLINE Vec<C> operator/(Vec<C> a, Vec<C> b) {
  return {a.v / b.v};
}
template <class C>
MOE_INLINE Vec<C>& operator+=(Vec<C>& a, Vec<C> b) {
  return a = a + b;
}

/// Elements at p as Vec<C>; C is float (from f32, bf16) or double (from any).
template <class C, class T, class Lanes = All>
MOE_INLINE Vec<C> load_as(const T* p, Lanes lanes = {}) {
  return load_vector(Type<C>{}, p, lanes);
}
/// Elements at p in their compute type.
template <class T, class Lanes = All>
MOE_INLINE Vec<ComputeType<T>> load(const T* p, Lanes lanes = {}) {
  return load_vector(Type<ComputeType<T>>{}, p, lanes);
}

/// Lanes that do not take part become `other`.
template <class C>
MOE_INLINE Vec<C> keep(Vec<C> x, Vec<C> /*other*/, All) {
  return x;
}
template <class C>
MOE_INLINE Vec<C> keep(Vec<C> x, Vec<C> other, First lanes) {
  return select(first(Type<C>{}, lanes), x, other);
}

/// x as it reads back after being stored as T.
template <class T>
MOE_INLINE Vec<ComputeType<T>> round_as(Vec<ComputeType<T>> x) {
  return x;
}
template <>
MOE_INLINE Vec<float> round_as<BFloat16>(Vec<float> x) {
  return round_to_bf16(x);
}

/// One stored element in C, and back.
template <class C>
MOE_INLINE C read(const float* p) {
  return *p;
}
template <class C>
MOE_INLINE C read(const double* p) {
  return static_cast<C>(*p);
}
template <class C>
MOE_INLINE C read(const BFloat16* p) {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(p->bits) << 16);
}
MOE_INLINE void write(float* p, float x) {
  *p = x;
}
MOE_INLINE void write(float* p, double x) {
  *p = static_cast<float>(x);
}
MOE_INLINE void write(double* p, double x) {
  *p = x;
}
MOE_INLINE void write(BFloat16* p, float x) {
  store(p, broadcast(x), First{1});
}
MOE_INLINE void write(BFloat16* p, double x) {
  store(p, broadcast(x), First{1});
}

/// Calls f(i, All{}) for each whole vector of [0, n), then f(i, First{rest}) if something is left.
template <class C, class F>
MOE_INLINE void for_vectors(std::int64_t n, F&& f) {
  std::int64_t i = 0;
  for (; i + kLanes<C> <= n; i += kLanes<C>) f(i, All{});
  if (i < n) f(i, First{static_cast<int>(n - i)});
}

/// Sum over [0, n) of the vectors f(i, lanes), in a fixed order on four chains.
/// @invariant f's lanes past the tail must be zero
template <class C, class F>
MOE_INLINE Vec<C> sum_vectors(std::int64_t n, F&& f) {
  constexpr std::int64_t kStep = kLanes<C>;
  Vec<C> a = zero<C>();
  Vec<C> b = zero<C>();
  Vec<C> c = zero<C>();
  Vec<C> d = zero<C>();
  std::int64_t i = 0;
  for (; i + 4 * kStep <= n; i += 4 * kStep) {
    a += f(i, All{});
    b += f(i + kStep, All{});
    c += f(i + 2 * kStep, All{});
    d += f(i + 3 * kStep, All{});
  }
  for (; i + kStep <= n; i += kStep) a += f(i, All{});
  if (i < n) b += f(i, First{static_cast<int>(n - i)});
  return (a + b) + (c + d);
}

}  // namespace
}  // namespace moe::kernels::MOE_ISA
