#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "device/cpu_isa.h"
#include "kernels/common/simd_probe.h"
#include "tensor/dtype.h"

namespace moe::kernels {
namespace {

template <class C>
void run(CpuIsa isa, Probe what, const std::vector<C>& x, std::vector<C>& y) {
  const auto n = static_cast<std::int64_t>(x.size());
  y.assign(x.size(), C(0));
  switch (isa) {
    case CpuIsa::Avx2:
      return avx2::probe(what, x.data(), y.data(), n);
    case CpuIsa::Avx512:
      return avx512::probe(what, x.data(), y.data(), n);
    case CpuIsa::Avx512Bf16:
      return avx512_bf16::probe(what, x.data(), y.data(), n);
  }
}

long double exact(Probe what, long double x) {
  switch (what) {
    case Probe::Exp:
      return std::exp(x);
    case Probe::Tanh:
      return std::tanh(x);
    case Probe::Erf:
      return std::erf(x);
    case Probe::Sigmoid:
      return 1.0L / (1.0L + std::exp(-x));
  }
  return 0;
}

/// Largest error in units in the last place of C over 200001 points of [low, high].
template <class C>
long double worst_ulp(CpuIsa isa, Probe what, double low, double high) {
  constexpr int kPoints = 200001;
  std::vector<C> x(kPoints);
  for (int i = 0; i < kPoints; ++i) {
    x[static_cast<std::size_t>(i)] = static_cast<C>(low + (high - low) * i / (kPoints - 1));
  }
  std::vector<C> y;
  run(isa, what, x, y);
  long double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const long double want = exact(what, x[i]);
    const C rounded = std::abs(static_cast<C>(want));
    const C next = std::nextafter(rounded, std::numeric_limits<C>::infinity());
    if (std::isinf(next)) continue;
    worst = std::max(worst, std::abs(y[i] - want) / (next - rounded));
  }
  return worst;
}

struct Accuracy {
  Probe what;
  double low;
  double high;
  double ulp_f32;
  double ulp_f64;
};

class VectorMath : public ::testing::TestWithParam<Accuracy> {};

TEST_P(VectorMath, IsAccurateInUnitsOfTheLastPlace) {
  const Accuracy& row = GetParam();
  for (const CpuIsa isa : available_cpu_isas()) {
    SCOPED_TRACE(to_string(isa));
    EXPECT_LE(worst_ulp<float>(isa, row.what, row.low, row.high), row.ulp_f32);
    EXPECT_LE(worst_ulp<double>(isa, row.what, row.low, row.high), row.ulp_f64);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Functions, VectorMath,
    ::testing::Values(Accuracy{Probe::Exp, -87, 88, 2, 4}, Accuracy{Probe::Exp, -1, 1, 2, 4},
                      Accuracy{Probe::Tanh, -0.7, 0.7, 3, 4}, Accuracy{Probe::Tanh, -20, 20, 3, 4},
                      Accuracy{Probe::Erf, -6, 6, 2, 2}, Accuracy{Probe::Erf, -0.1, 0.1, 2, 2},
                      Accuracy{Probe::Sigmoid, -80, 80, 4, 6}));

TEST(VectorMath, HandlesTheEndsOfTheRange) {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> x = {-inf, inf, nan, -200.0F, 89.5F, 88.72F, -103.0F, -90.0F, 0.0F};
  for (const CpuIsa isa : available_cpu_isas()) {
    SCOPED_TRACE(to_string(isa));
    std::vector<float> y;
    run(isa, Probe::Exp, x, y);
    EXPECT_EQ(y[0], 0.0F);
    EXPECT_EQ(y[1], inf);
    EXPECT_TRUE(std::isnan(y[2]));
    EXPECT_EQ(y[3], 0.0F);
    EXPECT_EQ(y[4], inf);
    EXPECT_TRUE(std::isfinite(y[5]));
    for (const std::size_t denormal : {6U, 7U}) {
      EXPECT_NEAR(y[denormal], std::exp(x[denormal]), std::numeric_limits<float>::denorm_min());
    }
    EXPECT_EQ(y[8], 1.0F);
    for (const Probe what : {Probe::Tanh, Probe::Erf}) {
      run(isa, what, x, y);
      EXPECT_EQ(y[0], -1.0F);
      EXPECT_EQ(y[1], 1.0F);
      EXPECT_TRUE(std::isnan(y[2]));
      EXPECT_EQ(y[8], 0.0F);
    }
  }
}

TEST(VectorMath, HandlesTheEndsOfTheRangeInDouble) {
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> x = {-inf, inf, std::nan(""), -800.0, 710.0, 709.7, -740.0};
  for (const CpuIsa isa : available_cpu_isas()) {
    SCOPED_TRACE(to_string(isa));
    std::vector<double> y;
    run(isa, Probe::Exp, x, y);
    EXPECT_EQ(y[0], 0.0);
    EXPECT_EQ(y[1], inf);
    EXPECT_TRUE(std::isnan(y[2]));
    EXPECT_EQ(y[3], 0.0);
    EXPECT_EQ(y[4], inf);
    EXPECT_TRUE(std::isfinite(y[5]));
    EXPECT_NEAR(y[6], std::exp(-740.0), std::numeric_limits<double>::denorm_min());
  }
}

TEST(VectorConversion, RoundsToBf16LikeTheScalarTypeOnEveryInstructionSet) {
  std::vector<float> x;
  for (std::uint32_t high = 0; high < 0x10000U; high += 7) {
    for (const std::uint32_t low : {0x0U, 0x1U, 0x7fffU, 0x8000U, 0x8001U, 0xffffU}) {
      x.push_back(std::bit_cast<float>((high << 16) | low));  // denormals, infinities, NaNs too
    }
  }
  const auto n = static_cast<std::int64_t>(x.size());
  std::vector<std::uint16_t> y(x.size());
  for (const CpuIsa isa : available_cpu_isas()) {
    SCOPED_TRACE(to_string(isa));
    if (isa == CpuIsa::Avx2) avx2::round_trip(x.data(), y.data(), n);
    if (isa == CpuIsa::Avx512) avx512::round_trip(x.data(), y.data(), n);
    if (isa == CpuIsa::Avx512Bf16) avx512_bf16::round_trip(x.data(), y.data(), n);
    for (std::size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(y[i], BFloat16(x[i]).bits) << std::bit_cast<std::uint32_t>(x[i]);
    }
  }
}

}  // namespace
}  // namespace moe::kernels
