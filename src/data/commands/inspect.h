/// `moe-data inspect` and `moe-data verify`: what a token shard holds, and whether it is whole.
#pragma once

#include <string>

#include "base/file.h"

namespace moe::data {

/// Facts about the shard, as text for people or as one JSON object.
/// @param documents how many of the first documents to show decoded (text only)
/// @throws DataError(path, byte offset, expected, found)
std::string inspect_report(const Path& prefix, bool json, std::int64_t documents = 0);

/// Reads every byte. @throws DataError(path, byte offset, expected, found) at the first fault
std::string verify_report(const Path& prefix, bool json, std::int64_t vocab_size = 0);

}  // namespace moe::data
