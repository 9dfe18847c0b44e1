/// Element types, and the 16-bit float that has no C++ type yet. Kernel-safe: no dependencies.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace moe {

enum class DType : std::uint8_t { F32, BF16, F64, I32, I64, U8, U16, F16 };

constexpr std::int64_t size_of(DType dtype) {
  switch (dtype) {
    case DType::F32:
    case DType::I32: return 4;
    case DType::BF16:
    case DType::U16:
    case DType::F16: return 2;
    case DType::F64:
    case DType::I64: return 8;
    case DType::U8: return 1;
  }
  return 0;
}

/// "f32", "bf16", "f64", "i32", "i64", "u8", "u16", "f16".
constexpr std::string_view to_string(DType dtype) {
  switch (dtype) {
    case DType::F32: return "f32";
    case DType::BF16: return "bf16";
    case DType::F64: return "f64";
    case DType::I32: return "i32";
    case DType::I64: return "i64";
    case DType::U8: return "u8";
    case DType::U16: return "u16";
    case DType::F16: return "f16";
  }
  return "unknown";
}

/// Storage-only bfloat16; arithmetic happens in float. Rounds to nearest even.
struct BFloat16 {
  std::uint16_t bits = 0;

  BFloat16() = default;
  explicit BFloat16(float value) {
    const auto raw = std::bit_cast<std::uint32_t>(value);
    if ((raw & 0x7fffffffU) > 0x7f800000U) {
      bits = static_cast<std::uint16_t>((raw >> 16) | 0x40U);  // quiet NaN
    } else {
      bits = static_cast<std::uint16_t>((raw + 0x7fffU + ((raw >> 16) & 1U)) >> 16);
    }
  }
  explicit operator float() const {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }
};
static_assert(sizeof(BFloat16) == 2);

/// The DType of a C++ element type; other types do not compile.
template <class T>
inline constexpr DType dtype_of = [] {
  static_assert(sizeof(T) == 0, "no DType for this type");
  return DType::U8;
}();
template <class T>
inline constexpr DType dtype_of<const T> = dtype_of<T>;
template <>
inline constexpr DType dtype_of<float> = DType::F32;
template <>
inline constexpr DType dtype_of<BFloat16> = DType::BF16;
template <>
inline constexpr DType dtype_of<double> = DType::F64;
template <>
inline constexpr DType dtype_of<std::int32_t> = DType::I32;
template <>
inline constexpr DType dtype_of<std::int64_t> = DType::I64;
template <>
inline constexpr DType dtype_of<std::uint8_t> = DType::U8;
template <>
inline constexpr DType dtype_of<std::uint16_t> = DType::U16;

/// Machine epsilon (spacing at 1) of a floating type; 0 for integers.
constexpr double epsilon_of(DType dtype) {
  switch (dtype) {
    case DType::F32: return 0x1.0p-23;
    case DType::BF16: return 0x1.0p-7;
    case DType::F16: return 0x1.0p-10;
    case DType::F64: return 0x1.0p-52;
    default: return 0;
  }
}

}  // namespace moe
