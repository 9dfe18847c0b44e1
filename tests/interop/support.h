/// Files made by hand, good and bad.
#pragma once

#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "support/temporary_folder.h"

namespace moe::interop::testing {

using ::moe::testing::TemporaryFolder;

/// A safetensors file with any header and any data.
inline std::string file_bytes(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

inline void put(const Path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

/// The message of the CheckpointError that `body` throws, "" if it does not.
template <class F>
std::string refusal(F&& body) {
  try {
    body();
  } catch (const CheckpointError& error) {
    return error.what();
  }
  return "";
}

}  // namespace moe::interop::testing
