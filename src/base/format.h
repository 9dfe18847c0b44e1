/// Text formatting. Never include this (or fmt) from a .cu file.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace moe {

using fmt::format;

/// "1,234,567".
std::string with_thousands(std::int64_t value);

/// "104.74 B", "29.24 M", "512": SI suffixes K, M, B, T with two decimals.
std::string human_count(double value);

/// "3.95 GiB", "12 B".
std::string human_bytes(double bytes);

/// "1:02:03", "4:05", "12 s".
std::string human_duration(double seconds);

/// "[2, 3, 4]".
std::string format_shape(std::span<const std::int64_t> dims);

/// The shortest text that reads back to exactly the same double ("nan", "inf" for non-finite).
std::string exact_number(double value);

/// The candidate nearest to `word` by edit distance, or "" if none is close: more than two letters and
/// more than half of the word differ.
std::string nearest_name(std::string_view word, std::span<const std::string> candidates);

}  // namespace moe
