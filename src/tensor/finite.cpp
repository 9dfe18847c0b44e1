#include "tensor/finite.h"

#include <algorithm>

#include "base/error.h"

namespace moe {
namespace {

constexpr std::int64_t kBlock = 512;

/// Whether any exponent of a block has all its bits. In vectors, whose length is fixed for them.
template <class Bits>
bool any_in_block(const Bits* bits, Bits exponent) {
  Bits found = 0;
  for (std::int64_t i = 0; i < kBlock; ++i) {
    found = static_cast<Bits>(found | ((bits[i] & exponent) == exponent ? 1 : 0));
  }
  return found != 0;
}

/// A float is finite unless all bits of its exponent are set.
template <class Bits>
void scan_part(const Bits* bits, std::int64_t begin, std::int64_t end, Bits exponent,
               NonFinite& found) {
  for (std::int64_t i = begin; i < end; ++i) {
    if ((bits[i] & exponent) != exponent) continue;
    if (found.count++ == 0) found.first = i;
  }
}

template <class Bits>
NonFinite scan(const View& values, Bits exponent) {
  const Bits* bits = values.as<Bits>();
  const std::int64_t count = values.numel();
  NonFinite found;
  std::int64_t at = 0;
  for (; at + kBlock <= count; at += kBlock) {
    if (any_in_block(bits + at, exponent)) scan_part(bits, at, at + kBlock, exponent, found);
  }
  scan_part(bits, at, count, exponent, found);
  return found;
}

}  // namespace

NonFinite find_non_finite(const View& values) {
  switch (values.dtype) {
    case DType::F32:
      return scan<std::uint32_t>(values, 0x7f800000U);
    case DType::BF16:
      return scan<std::uint16_t>(values, 0x7f80U);
    case DType::F16:
      return scan<std::uint16_t>(values, 0x7c00U);
    case DType::F64:
      return scan<std::uint64_t>(values, 0x7ff0000000000000ULL);
    case DType::I32:
    case DType::I64:
    case DType::U8:
    case DType::U16:
      return {};
  }
  throw InternalError("unknown dtype");
}

}  // namespace moe
