/// Transcendental functions on vectors.
/// @invariant NaN gives NaN; no branch on values, so the time does not depend on the data
#pragma once

#include "kernels/common/simd.h"

namespace moe::kernels::MOE_ISA {
namespace {

/// e^x, within 2 ulp. Underflows through the denormals to 0, overflows to infinity.
MOE_INLINE Vec<float> exp(Vec<float> x) {
  // Clamped so that the exponent fits; the bound comes first: max and min return their second
  // argument on NaN.
  x = min(broadcast(89.0F), max(broadcast(-110.0F), x));
  const Vec<float> n = round_to_integer(x * broadcast(1.44269504088896341F));
  Vec<float> r = fma(n, broadcast(-0.693359375F), x);
  r = fma(n, broadcast(2.12194440e-4F), r);
  Vec<float> p = broadcast(1.9875691500e-4F);
  p = fma(p, r, broadcast(1.3981999507e-3F));
  p = fma(p, r, broadcast(8.3334519073e-3F));
  p = fma(p, r, broadcast(4.1665795894e-2F));
  p = fma(p, r, broadcast(1.6666665459e-1F));
  p = fma(p, r, broadcast(5.0000001201e-1F));
  p = fma(p, r * r, r) + broadcast(1.0F);
  return times_power_of_two(p, n);
}

/// e^x, within 4 ulp: the Taylor series to r^13 on |r| <= ln(2) / 2.
MOE_INLINE Vec<double> exp(Vec<double> x) {
  x = min(broadcast(711.0), max(broadcast(-760.0), x));
  const Vec<double> n = round_to_integer(x * broadcast(1.4426950408889634074));
  Vec<double> r = fma(n, broadcast(-6.93145751953125e-1), x);
  r = fma(n, broadcast(-1.42860682030941723212e-6), r);
  Vec<double> p = broadcast(1.0 / 6227020800.0);
  p = fma(p, r, broadcast(1.0 / 479001600.0));
  p = fma(p, r, broadcast(1.0 / 39916800.0));
  p = fma(p, r, broadcast(1.0 / 3628800.0));
  p = fma(p, r, broadcast(1.0 / 362880.0));
  p = fma(p, r, broadcast(1.0 / 40320.0));
  p = fma(p, r, broadcast(1.0 / 5040.0));
  p = fma(p, r, broadcast(1.0 / 720.0));
  p = fma(p, r, broadcast(1.0 / 120.0));
  p = fma(p, r, broadcast(1.0 / 24.0));
  p = fma(p, r, broadcast(1.0 / 6.0));
  p = fma(p, r, broadcast(0.5));
  p = fma(p, r * r, r) + broadcast(1.0);
  return times_power_of_two(p, n);
}

/// 1 / (1 + e^-x).
template <class C>
MOE_INLINE Vec<C> sigmoid(Vec<C> x) {
  return broadcast(C(1)) / (broadcast(C(1)) + exp(-x));
}

/// tanh away from zero: 1 - 2 / (e^2|x| + 1), with the sign of x.
template <class C>
MOE_INLINE Vec<C> tanh_far(Vec<C> x) {
  const Vec<C> e = exp(abs(x) * broadcast(C(2)));
  return copy_sign(broadcast(C(1)) - broadcast(C(2)) / (e + broadcast(C(1))), x);
}
/// @paper S. Moshier, Cephes
MOE_INLINE Vec<float> tanh(Vec<float> x) {
  const Vec<float> z = x * x;
  Vec<float> p = broadcast(-5.70498872745e-3F);
  p = fma(p, z, broadcast(2.06390887954e-2F));
  p = fma(p, z, broadcast(-5.37397155531e-2F));
  p = fma(p, z, broadcast(1.33314422036e-1F));
  p = fma(p, z, broadcast(-3.33332819422e-1F));
  const Vec<float> near = fma(p * z, x, x);
  return select(abs(x) < broadcast(0.625F), near, tanh_far(x));
}
MOE_INLINE Vec<double> tanh(Vec<double> x) {
  const Vec<double> z = x * x;
  Vec<double> p = broadcast(-9.64399179425052238628e-1);
  p = fma(p, z, broadcast(-9.92877231001918586564e1));
  p = fma(p, z, broadcast(-1.61468768441708447952e3));
  Vec<double> q = z + broadcast(1.12811678491632931402e2);
  q = fma(q, z, broadcast(2.23548839060100448583e3));
  q = fma(q, z, broadcast(4.84406305325125486048e3));
  const Vec<double> near = fma(x * z, p / q, x);
  return select(abs(x) < broadcast(0.625), near, tanh_far(x));
}

/// The error function, within 2 ulp in f32.
/// @paper N. Juffa's minimax pair, split at 0.92
MOE_INLINE Vec<float> erf(Vec<float> x) {
  const Vec<float> t = abs(x);
  const Vec<float> s = x * x;
  Vec<float> far = fma(broadcast(-1.72853470e-5F), t, broadcast(3.83197126e-4F));
  far = fma(far, s, fma(broadcast(-3.88396438e-3F), t, broadcast(2.42546219e-2F)));
  far = fma(far, t, broadcast(-1.06777877e-1F));
  far = fma(far, t, broadcast(-6.34846687e-1F));
  far = fma(far, t, broadcast(-1.28717512e-1F));
  far = fma(far, t, -t);
  // Beyond 4 the polynomial turns back up, and erf is 1 anyway.
  far = select(broadcast(4.0F) < t, broadcast(-20.0F), far);
  far = copy_sign(broadcast(1.0F) - exp(far), x);
  Vec<float> near = broadcast(-5.96761703e-4F);
  near = fma(near, s, broadcast(4.99119423e-3F));
  near = fma(near, s, broadcast(-2.67681349e-2F));
  near = fma(near, s, broadcast(1.12819925e-1F));
  near = fma(near, s, broadcast(-3.76125336e-1F));
  near = fma(near, s, broadcast(1.28379166e-1F));
  near = fma(near, x, x);
  return select(broadcast(0.921875F) < t, far, near);
}
/// Lane by lane: f64 serves gradient checks.
MOE_INLINE Vec<double> erf(Vec<double> x) {
  for (int lane = 0; lane < kLanes<double>; ++lane) x.v[lane] = __builtin_erf(x.v[lane]);
  return x;
}

/// One number.
MOE_INLINE float sqrt(float x) {
  return __builtin_sqrtf(x);
}
MOE_INLINE double sqrt(double x) {
  return __builtin_sqrt(x);
}
MOE_INLINE float log(float x) {
  return __builtin_logf(x);
}
MOE_INLINE double log(double x) {
  return __builtin_log(x);
}

}  // namespace
}  // namespace moe::kernels::MOE_ISA
