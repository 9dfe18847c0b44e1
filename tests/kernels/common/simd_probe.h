/// The vector layer seen from outside: one function per instruction set.
#pragma once

#include <cstdint>

namespace moe::kernels {

enum class Probe { Exp, Tanh, Erf, Sigmoid };

#define MOE_DECLARE_PROBES(isa)                                       \
  namespace isa {                                                     \
  void probe(Probe what, const float* x, float* y, std::int64_t n);   \
  void probe(Probe what, const double* x, double* y, std::int64_t n); \
  void round_trip(const float* x, std::uint16_t* y, std::int64_t n);  \
  }
MOE_DECLARE_PROBES(avx2)
MOE_DECLARE_PROBES(avx512)
MOE_DECLARE_PROBES(avx512_bf16)
#undef MOE_DECLARE_PROBES

}  // namespace moe::kernels
