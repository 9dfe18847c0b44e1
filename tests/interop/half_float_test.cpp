// f16 and bf16 as weights come: every one of the 65536 values, against arithmetic written from the
// definition.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

#include "checkpoint/tensor_source.h"
#include "tensor/convert.h"

namespace moe::interop {
namespace {

using checkpoint::flat_view;

struct Format {
  DType dtype;
  int exponent_bits;
  int fraction_bits;
};

constexpr Format kFormats[] = {{DType::F16, 5, 10}, {DType::BF16, 8, 7}};

/// The value by the IEEE 754 definition.
double defined_value(std::uint16_t bits, const Format& format) {
  const int all_ones = (1 << format.exponent_bits) - 1;
  const int bias = all_ones / 2;
  const int exponent = (bits >> format.fraction_bits) & all_ones;
  const int fraction = bits & ((1 << format.fraction_bits) - 1);
  const double sign = (bits & 0x8000) != 0 ? -1.0 : 1.0;
  if (exponent == all_ones) return fraction == 0 ? sign * INFINITY : NAN;
  const double significand =
      std::ldexp(fraction, -format.fraction_bits) + (exponent == 0 ? 0.0 : 1.0);
  return sign * std::ldexp(significand, std::max(exponent, 1) - bias);
}

std::vector<std::uint16_t> all_bits() {
  std::vector<std::uint16_t> bits(65536);
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<std::uint16_t>(i);
  return bits;
}

TEST(HalfFloats, WidenExactly) {
  const auto bits = all_bits();
  for (const Format& format : kFormats) {
    std::vector<float> found(bits.size());
    convert_elements(flat_view(bits.data(), format.dtype, 65536),
                     flat_view(found.data(), DType::F32, 65536));
    for (std::size_t i = 0; i < bits.size(); ++i) {
      const double expected = defined_value(bits[i], format);
      if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(found[i])) << i;
      } else {
        ASSERT_EQ(found[i], expected) << to_string(format.dtype) << " " << i;
        ASSERT_EQ(std::signbit(found[i]), (i & 0x8000U) != 0) << i;
      }
    }
  }
}

TEST(HalfFloats, NarrowBackToTheSameBits) {
  const auto bits = all_bits();
  for (const Format& format : kFormats) {
    for (const DType wide : {DType::F32, DType::F64}) {
      std::vector<double> between(bits.size());
      std::vector<std::uint16_t> found(bits.size());
      const auto count = std::int64_t{65536};
      convert_elements(flat_view(bits.data(), format.dtype, count),
                       flat_view(between.data(), wide, count));
      convert_elements(flat_view(between.data(), wide, count),
                       flat_view(found.data(), format.dtype, count));
      for (std::size_t i = 0; i < bits.size(); ++i) {
        if (std::isnan(defined_value(bits[i], format))) {
          ASSERT_TRUE(std::isnan(defined_value(found[i], format))) << i;
        } else {
          ASSERT_EQ(found[i], bits[i]) << to_string(format.dtype);
        }
      }
    }
  }
}

TEST(HalfFloats, RoundTiesToEvenBetweenAllNeighbours) {
  for (const Format& format : kFormats) {
    const int infinity = ((1 << format.exponent_bits) - 1) << format.fraction_bits;
    for (int lower = 0; lower + 1 < infinity; ++lower) {
      const auto low = static_cast<std::uint16_t>(lower);
      const auto high = static_cast<std::uint16_t>(lower + 1);
      const auto middle =
          static_cast<float>((defined_value(low, format) + defined_value(high, format)) / 2);
      const float inputs[3] = {std::nextafter(middle, 0.0F), middle,
                               std::nextafter(middle, INFINITY)};
      const std::uint16_t expected[3] = {low, lower % 2 == 0 ? low : high, high};
      std::uint16_t found[3];
      convert_elements(flat_view(inputs, DType::F32, 3), flat_view(found, format.dtype, 3));
      for (int i = 0; i < 3; ++i) {
        ASSERT_EQ(found[i], expected[i]) << to_string(format.dtype) << " above " << lower;
      }
    }
  }
}

TEST(HalfFloats, OverflowToInfinityAndKeepSigns) {
  const float inputs[4] = {65519.9F, 65520.0F, -1e6F, -0.0F};
  std::uint16_t found[4];
  convert_elements(flat_view(inputs, DType::F32, 4), flat_view(found, DType::F16, 4));
  EXPECT_EQ(found[0], 0x7bff);
  EXPECT_EQ(found[1], 0x7c00);
  EXPECT_EQ(found[2], 0xfc00);
  EXPECT_EQ(found[3], 0x8000);
}

}  // namespace
}  // namespace moe::interop
