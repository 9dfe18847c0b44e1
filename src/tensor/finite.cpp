#include "tensor/finite.h"

#include "base/error.h"

namespace moe {
namespace {

/// A float is finite unless all bits of its exponent are set.
template <class Bits>
NonFinite scan(const View& values, Bits exponent) {
  const Bits* bits = values.as<Bits>();
  const std::int64_t count = values.numel();
  NonFinite found;
  for (std::int64_t i = 0; i < count; ++i) found.count += (bits[i] & exponent) == exponent ? 1 : 0;
  if (found.count == 0) return found;
  for (found.first = 0; (bits[found.first] & exponent) != exponent;) ++found.first;
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
