/// What every writer of shards agrees on: how large files are, and what a dataset is called.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/format.h"
#include "tensor/view.h"

namespace moe::checkpoint {

/// Bounds of a file's payload, unless one is asked for.
inline constexpr std::int64_t kLeastFile = std::int64_t{64} << 20;
inline constexpr std::int64_t kLargestFile = std::int64_t{1} << 30;

/// A tensor's name where '/' would mean a group; the piece as it comes within one file.
inline std::string dataset_name(const std::string& tensor, std::size_t piece) {
  std::string name = tensor;
  std::ranges::replace(name, '/', ':');
  return piece == 0 ? name : format("{}#{}", name, piece);
}

/// The bytes of a contiguous view.
inline std::span<const std::byte> bytes_of(const View& view) {
  return {view.as<std::byte>(), static_cast<std::size_t>(view.bytes())};
}
inline std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

}  // namespace moe::checkpoint
