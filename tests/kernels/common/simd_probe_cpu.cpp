#include "kernels/common/simd_probe.h"

#include "kernels/common/simd.h"
#include "kernels/common/simd_math.h"

namespace moe::kernels::MOE_ISA {
namespace {

template <class C>
void run(Probe what, const C* x, C* y, std::int64_t n) {
  for_vectors<C>(n, [=](std::int64_t i, auto lanes) {
    const Vec<C> v = load(x + i, lanes);
    switch (what) {
      case Probe::Exp:
        return store(y + i, exp(v), lanes);
      case Probe::Tanh:
        return store(y + i, tanh(v), lanes);
      case Probe::Erf:
        return store(y + i, erf(v), lanes);
      case Probe::Sigmoid:
        return store(y + i, sigmoid(v), lanes);
    }
  });
}

}  // namespace

void probe(Probe what, const float* x, float* y, std::int64_t n) {
  run(what, x, y, n);
}
void probe(Probe what, const double* x, double* y, std::int64_t n) {
  run(what, x, y, n);
}

void round_trip(const float* x, std::uint16_t* y, std::int64_t n) {
  auto* out = reinterpret_cast<BFloat16*>(y);
  for_vectors<float>(
      n, [=](std::int64_t i, auto lanes) { store(out + i, load(x + i, lanes), lanes); });
}

}  // namespace moe::kernels::MOE_ISA
