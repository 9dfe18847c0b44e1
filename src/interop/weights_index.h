/// The index of a sharded folder: `model.safetensors.index.json`.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace moe::interop {

struct WeightsIndex {
  std::map<std::string, std::string> file_of_tensor;
  std::optional<std::uint64_t> total_size;
};

/// Strict: repeated keys, unknown fields and names of files that are not plain are refused.
/// @throws CheckpointError(where, reason)
WeightsIndex parse_weights_index(std::string_view json, const std::string& where);

/// The same text as the reference library writes: two spaces, sorted.
std::string weights_index_text(const WeightsIndex& index);

}  // namespace moe::interop
