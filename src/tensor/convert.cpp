#include "tensor/convert.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "base/error.h"
#include "base/every_width.h"

namespace moe {
namespace {

/// Storage-only IEEE half: read from other people's files, never computed in.
struct Half {
  std::uint16_t bits;
};

float half_to_float(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000U) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1fU;
  const std::uint32_t fraction = bits & 0x3ffU;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000U | (fraction << 13));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
  const float magnitude = std::ldexp(static_cast<float>(fraction), -24);
  return sign != 0 ? -magnitude : magnitude;
}

std::uint16_t float_to_half(float value) {
  const auto raw = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((raw >> 16) & 0x8000U);
  const float magnitude = std::bit_cast<float>(raw & 0x7fffffffU);
  if (std::isnan(value)) return static_cast<std::uint16_t>(sign | 0x7e00U);
  if (magnitude >= 65520.0F) return static_cast<std::uint16_t>(sign | 0x7c00U);
  if (magnitude < 0x1.0p-14F) {
    return static_cast<std::uint16_t>(
        sign | static_cast<std::uint16_t>(std::nearbyint(std::ldexp(magnitude, 24))));
  }
  const auto bits = std::bit_cast<std::uint32_t>(magnitude);
  const std::uint32_t rounded = bits + 0xfffU + ((bits >> 13) & 1U) - (112U << 23);
  return static_cast<std::uint16_t>(sign | (rounded >> 13));
}

template <class T>
double load(T value) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    return static_cast<float>(value);
  } else if constexpr (std::is_same_v<T, Half>) {
    return half_to_float(value.bits);
  } else {
    return static_cast<double>(value);
  }
}

/// To f32, rounding to odd: a second rounding to fewer digits then gives what a single one would.
float to_float_for_rounding(double value) {
  const auto nearest = static_cast<float>(value);
  const auto bits = std::bit_cast<std::uint32_t>(nearest);
  const double back = nearest;
  if (!std::isfinite(nearest) || back == value || (bits & 1U) != 0) return nearest;
  const bool away = std::abs(back) > std::abs(value);
  return std::bit_cast<float>(away ? bits - 1 : bits + 1);
}

template <class T>
T store(double value) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    return BFloat16(to_float_for_rounding(value));
  } else if constexpr (std::is_same_v<T, Half>) {
    return Half{float_to_half(to_float_for_rounding(value))};
  } else {
    return static_cast<T>(value);
  }
}

template <class F>
void with_type(DType dtype, F&& body) {
  switch (dtype) {
    case DType::F32: return body(float{});
    case DType::BF16: return body(BFloat16{});
    case DType::F64: return body(double{});
    case DType::I32: return body(std::int32_t{});
    case DType::I64: return body(std::int64_t{});
    case DType::U8: return body(std::uint8_t{});
    case DType::U16: return body(std::uint16_t{});
    case DType::F16: return body(Half{});
  }
  throw InternalError("unknown dtype");
}

// The pairs that models are made of, as vectors; equal to the path of all others, bit for bit.
MOE_EVERY_WIDTH void round_to_bfloat16(const float* from, std::uint16_t* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    const auto raw = __builtin_bit_cast(std::uint32_t, from[i]);
    const std::uint32_t rounded = (raw + 0x7fffU + ((raw >> 16) & 1U)) >> 16;
    const std::uint32_t quiet = (raw >> 16) | 0x40U;
    to[i] = static_cast<std::uint16_t>((raw & 0x7fffffffU) > 0x7f800000U ? quiet : rounded);
  }
}

MOE_EVERY_WIDTH void widen_bfloat16(const std::uint16_t* from, float* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    to[i] = __builtin_bit_cast(float, static_cast<std::uint32_t>(from[i]) << 16);
  }
}

}  // namespace

void convert_elements(const View& source, const View& target) {
  MOE_CHECK_EQ(source.numel(), target.numel());
  const std::int64_t count = source.numel();
  if (count == 0) return;
  if (source.dtype == target.dtype) {
    std::memmove(target.data, source.data, static_cast<std::size_t>(source.bytes()));
    return;
  }
  if (source.dtype == DType::F32 && target.dtype == DType::BF16) {
    return round_to_bfloat16(source.as<float>(), &target.as<BFloat16>()->bits, count);
  }
  if (source.dtype == DType::BF16 && target.dtype == DType::F32) {
    return widen_bfloat16(&source.as<BFloat16>()->bits, target.as<float>(), count);
  }
  with_type(source.dtype, [&]<class S>(S) {
    with_type(target.dtype, [&]<class T>(T) {
      const S* from = source.as<S>();
      T* to = target.as<T>();
      for (std::int64_t i = 0; i < count; ++i) to[i] = store<T>(load(from[i]));
    });
  });
}

void fill_elements(const View& target, double value) {
  with_type(target.dtype, [&]<class T>(T) {
    T* to = target.as<T>();
    const T element = store<T>(value);
    for (std::int64_t i = 0, n = target.numel(); i < n; ++i) to[i] = element;
  });
}

}  // namespace moe
