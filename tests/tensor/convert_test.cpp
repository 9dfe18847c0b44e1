#include "tensor/convert.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "tensor/dtype.h"

namespace moe {
namespace {

template <class T>
View view_of(std::vector<T>& values, DType dtype) {
  View view;
  view.data = values.data();
  view.dtype = dtype;
  view.rank = 1;
  view.dims[0] = static_cast<std::int64_t>(values.size());
  view.strides[0] = 1;
  return view;
}

template <class To, class From>
std::vector<To> converted(std::vector<From> values, DType from, DType to) {
  std::vector<To> result(values.size());
  convert_elements(view_of(values, from), view_of(result, to));
  return result;
}

std::vector<std::uint16_t> all_patterns() {
  std::vector<std::uint16_t> patterns(65536);
  for (std::size_t i = 0; i < patterns.size(); ++i) patterns[i] = static_cast<std::uint16_t>(i);
  return patterns;
}

/// The value of a 16-bit float by its definition.
double value_of(std::uint16_t bits, int exponent_bits) {
  const int fraction_bits = 15 - exponent_bits;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (bits >> fraction_bits) & ((1 << exponent_bits) - 1);
  const int fraction = bits & ((1 << fraction_bits) - 1);
  const double sign = (bits & 0x8000) != 0 ? -1.0 : 1.0;
  if (exponent == (1 << exponent_bits) - 1) {
    return fraction == 0 ? sign * std::numeric_limits<double>::infinity()
                         : std::numeric_limits<double>::quiet_NaN();
  }
  if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias - fraction_bits);
  return sign * std::ldexp((1 << fraction_bits) + fraction, exponent - bias - fraction_bits);
}

struct Format {
  const char* name;
  DType dtype;
  int exponent_bits;
};

class SmallFloat : public ::testing::TestWithParam<Format> {
 protected:
  bool is_nan(std::uint16_t bits) const {
    return std::isnan(value_of(bits, GetParam().exponent_bits));
  }
  /// Rounded from f32 and from f64, which must agree where the value is both.
  std::uint16_t rounded(double value) const {
    const auto from_double =
        converted<std::uint16_t>(std::vector<double>{value}, DType::F64, GetParam().dtype)[0];
    const auto single = static_cast<float>(value);
    if (single == value) {
      const auto from_float =
          converted<std::uint16_t>(std::vector<float>{single}, DType::F32, GetParam().dtype)[0];
      EXPECT_EQ(from_float, from_double) << value;
    }
    return from_double;
  }
};

TEST_P(SmallFloat, EveryPatternHasTheValueOfItsDefinition) {
  const auto patterns = all_patterns();
  const auto doubles = converted<double>(patterns, GetParam().dtype, DType::F64);
  const auto floats = converted<float>(patterns, GetParam().dtype, DType::F32);
  for (const std::uint16_t bits : patterns) {
    const double wanted = value_of(bits, GetParam().exponent_bits);
    if (std::isnan(wanted)) {
      EXPECT_TRUE(std::isnan(doubles[bits]) && std::isnan(floats[bits]));
    } else {
      EXPECT_EQ(std::bit_cast<std::uint64_t>(doubles[bits]), std::bit_cast<std::uint64_t>(wanted));
      EXPECT_EQ(static_cast<double>(floats[bits]), wanted);
    }
  }
}

TEST_P(SmallFloat, EveryPatternSurvivesTheWayThroughF32AndF64) {
  const auto patterns = all_patterns();
  const DType dtype = GetParam().dtype;
  const auto through_f32 = converted<std::uint16_t>(
      converted<float>(patterns, dtype, DType::F32), DType::F32, dtype);
  const auto through_f64 = converted<std::uint16_t>(
      converted<double>(patterns, dtype, DType::F64), DType::F64, dtype);
  for (const std::uint16_t bits : patterns) {
    if (is_nan(bits)) {
      EXPECT_TRUE(is_nan(through_f32[bits]) && is_nan(through_f64[bits]));
    } else {
      EXPECT_EQ(through_f32[bits], bits);
      EXPECT_EQ(through_f64[bits], bits);
    }
  }
}

TEST_P(SmallFloat, RoundsToNearestAndHalfwayToEvenBetweenAllNeighbours) {
  for (std::uint16_t low = 0;; ++low) {
    const std::uint16_t high = low + 1;
    const double below = value_of(low, GetParam().exponent_bits);
    double above = value_of(high, GetParam().exponent_bits);
    // Beyond the largest number, rounding behaves as if the exponent went on.
    const bool top = std::isinf(above);
    if (top) above = 2 * below - value_of(low - 1, GetParam().exponent_bits);
    const double middle = below + (above - below) / 2;
    const std::uint16_t even = low % 2 == 0 ? low : high;
    for (const std::uint16_t sign : {0x0000, 0x8000}) {
      const double factor = sign != 0 ? -1 : 1;
      ASSERT_EQ(rounded(factor * middle), even | sign) << middle;
      ASSERT_EQ(rounded(factor * std::nextafter(middle, below)), low | sign) << middle;
      ASSERT_EQ(rounded(factor * std::nextafter(middle, above)), high | sign) << middle;
    }
    if (top) break;
  }
}

TEST_P(SmallFloat, ExtremesBecomeInfinityZeroOrNan) {
  using Limits = std::numeric_limits<double>;
  const auto value = [&](double from) {
    return value_of(rounded(from), GetParam().exponent_bits);
  };
  EXPECT_EQ(value(Limits::max()), Limits::infinity());
  EXPECT_EQ(value(-Limits::infinity()), -Limits::infinity());
  EXPECT_EQ(value(Limits::denorm_min()), 0);
  EXPECT_EQ(rounded(-Limits::denorm_min()), 0x8000);
  EXPECT_TRUE(std::isnan(value(Limits::quiet_NaN())));
}

INSTANTIATE_TEST_SUITE_P(Formats, SmallFloat,
                         ::testing::Values(Format{"bf16", DType::BF16, 8},
                                           Format{"f16", DType::F16, 5}),
                         [](const auto& row) { return row.param.name; });

TEST(BFloat16, SignallingNanStaysNan) {
  // Dropping the low bits alone would make an infinity of it.
  const BFloat16 value(std::bit_cast<float>(0x7f800001U));
  EXPECT_TRUE(std::isnan(static_cast<float>(value)));
}

TEST(Convert, IntegersOfAllWidths) {
  const std::vector<double> values{0, 1, 127, 255};
  for (const double value : converted<double>(converted<std::uint8_t>(values, DType::F64, DType::U8),
                                              DType::U8, DType::F64)) {
    EXPECT_TRUE(value == 0 || value == 1 || value == 127 || value == 255);
  }
  EXPECT_EQ(converted<std::int64_t>(std::vector<std::int32_t>{-7, 1 << 30}, DType::I32, DType::I64),
            (std::vector<std::int64_t>{-7, 1 << 30}));
  EXPECT_EQ(converted<float>(std::vector<std::int64_t>{-3, 1 << 24}, DType::I64, DType::F32),
            (std::vector<float>{-3, 0x1.0p24F}));
  EXPECT_EQ(converted<std::int32_t>(std::vector<float>{-2.75F, 2.75F}, DType::F32, DType::I32),
            (std::vector<std::int32_t>{-2, 2}));
  EXPECT_EQ(converted<std::uint16_t>(std::vector<std::int32_t>{0, 65535}, DType::I32, DType::U16),
            (std::vector<std::uint16_t>{0, 65535}));
}

TEST(Convert, TheSameTypeIsACopyOfBits) {
  const std::vector<std::int64_t> exact{std::numeric_limits<std::int64_t>::max(), -1};
  EXPECT_EQ(converted<std::int64_t>(exact, DType::I64, DType::I64), exact);
  const auto nan = converted<float>(std::vector<float>{std::bit_cast<float>(0x7fc12345U)},
                                    DType::F32, DType::F32);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(nan[0]), 0x7fc12345U);
}

TEST(Convert, NothingIsFine) {
  EXPECT_TRUE(converted<float>(std::vector<double>{}, DType::F64, DType::F32).empty());
}

TEST(FillElements, SetsEveryElementOfEachType) {
  std::vector<std::uint16_t> halves(3);
  fill_elements(view_of(halves, DType::F16), 1.5);
  EXPECT_EQ(halves, std::vector<std::uint16_t>(3, 0x3e00));
  fill_elements(view_of(halves, DType::BF16), 1.5);
  EXPECT_EQ(halves, std::vector<std::uint16_t>(3, 0x3fc0));
  std::vector<std::int32_t> integers(2);
  fill_elements(view_of(integers, DType::I32), -4);
  EXPECT_EQ(integers, std::vector<std::int32_t>(2, -4));
}

TEST(DType, SizesNamesAndEpsilons) {
  struct Row {
    DType dtype;
    std::int64_t size;
    const char* name;
  };
  for (const Row& row : {Row{DType::F32, 4, "f32"}, Row{DType::BF16, 2, "bf16"},
                         Row{DType::F64, 8, "f64"}, Row{DType::I32, 4, "i32"},
                         Row{DType::I64, 8, "i64"}, Row{DType::U8, 1, "u8"},
                         Row{DType::U16, 2, "u16"}, Row{DType::F16, 2, "f16"}}) {
    EXPECT_EQ(size_of(row.dtype), row.size);
    EXPECT_EQ(to_string(row.dtype), row.name);
  }
  EXPECT_EQ(epsilon_of(DType::F32), std::numeric_limits<float>::epsilon());
  EXPECT_EQ(epsilon_of(DType::F64), std::numeric_limits<double>::epsilon());
  EXPECT_EQ(epsilon_of(DType::BF16), value_of(0x3f81, 8) - 1);
  EXPECT_EQ(epsilon_of(DType::F16), value_of(0x3c01, 5) - 1);
  EXPECT_EQ(epsilon_of(DType::I32), 0);
  EXPECT_EQ(dtype_of<float>, DType::F32);
  EXPECT_EQ(dtype_of<const double>, DType::F64);
  EXPECT_EQ(dtype_of<const BFloat16>, DType::BF16);
}

}  // namespace
}  // namespace moe
