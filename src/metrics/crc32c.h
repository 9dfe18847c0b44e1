/// CRC-32C (Castagnoli), as TensorBoard's record files use it.
#pragma once

#include <cstdint>
#include <string_view>

namespace moe::metrics {

/// crc32c("123456789") == 0xe3069283.
std::uint32_t crc32c(std::string_view bytes);

/// The rotated form that is stored beside the data it covers.
std::uint32_t masked_crc32c(std::string_view bytes);

}  // namespace moe::metrics
