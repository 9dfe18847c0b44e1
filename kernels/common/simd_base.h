/// The words every part of the vector layer shares. Include kernels/common/simd.h instead.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "tensor/dtype.h"

#define MOE_INLINE inline __attribute__((always_inline))

namespace moe::kernels::MOE_ISA {
namespace {

/// What arithmetic on stored elements of type T happens in.
template <class T>
struct ComputeTypeOf {
  using type = float;
};
template <>
struct ComputeTypeOf<double> {
  using type = double;
};
template <class T>
using ComputeType = typename ComputeTypeOf<T>::type;

/// Passes a type as a value.
template <class T>
struct Type {
  using type = T;
};

/// Which lanes of a vector take part: all, or the first `count` (0 <= count < kLanes).
struct All {};
struct First {
  int count;
};

/// float or double lanes; `Vec<C>::kLanes` of them.
template <class C>
struct Vec;
/// One truth value a lane.
template <class C>
struct Mask;

}  // namespace
}  // namespace moe::kernels::MOE_ISA
