#include "base/format.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <vector>

namespace moe {

std::string with_thousands(std::int64_t value) {
  std::string digits = std::to_string(value);
  const int first = value < 0 ? 1 : 0;
  for (int at = static_cast<int>(digits.size()) - 3; at > first; at -= 3) {
    digits.insert(static_cast<std::size_t>(at), ",");
  }
  return digits;
}

namespace {

std::string scaled(double value, double base, std::span<const char* const> suffixes) {
  std::size_t step = 0;
  double magnitude = value;
  // Half a unit of the last digit shown: what would round up to `base` takes the next suffix.
  while (std::abs(magnitude) >= base - (step == 0 ? 0.5 : 0.005) && step + 1 < suffixes.size()) {
    magnitude /= base;
    ++step;
  }
  if (step == 0) return fmt::format("{:.0f}{}", magnitude, suffixes[0]);
  return fmt::format("{:.2f}{}", magnitude, suffixes[step]);
}

}  // namespace

std::string human_count(double value) {
  static constexpr std::array<const char*, 5> kSuffixes{"", " K", " M", " B", " T"};
  return scaled(value, 1000.0, kSuffixes);
}

std::string human_bytes(double bytes) {
  static constexpr std::array<const char*, 5> kSuffixes{" B", " KiB", " MiB", " GiB", " TiB"};
  return scaled(bytes, 1024.0, kSuffixes);
}

std::string human_duration(double seconds) {
  constexpr double kLongest = 1e12;  // beyond, no one waits, and llround() could overflow
  if (!(seconds >= 0 && seconds < kLongest)) return "unknown";
  const auto total = static_cast<std::int64_t>(std::llround(seconds));
  if (total < 60) return fmt::format("{} s", total);
  if (total < 3600) return fmt::format("{}:{:02}", total / 60, total % 60);
  return fmt::format("{}:{:02}:{:02}", total / 3600, total / 60 % 60, total % 60);
}

std::string format_shape(std::span<const std::int64_t> dims) {
  return fmt::format("[{}]", fmt::join(dims.begin(), dims.end(), ", "));
}

std::string exact_number(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::array<char, 32> buffer{};
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return {buffer.data(), result.ptr};
}

namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest_name(std::string_view word, std::span<const std::string> candidates) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 2) + 1;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace moe
