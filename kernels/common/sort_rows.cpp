#include "kernels/common/sort_rows.h"

#include <array>
#include <cstring>

namespace moe::kernels {
namespace {

constexpr int kDigitBits = 8;
constexpr std::size_t kDigits = std::size_t{1} << kDigitBits;

/// A stable counting sort by the 8 bits at `shift`.
void sort_by_digit(const std::uint64_t* from, std::uint64_t* to, std::int64_t count, int shift) {
  std::array<std::int64_t, kDigits> start{};
  for (std::int64_t i = 0; i < count; ++i) ++start[(from[i] >> shift) & (kDigits - 1)];
  std::int64_t total = 0;
  for (std::int64_t& digit : start) {
    const std::int64_t size = digit;
    digit = total;
    total += size;
  }
  for (std::int64_t i = 0; i < count; ++i)
    to[start[(from[i] >> shift) & (kDigits - 1)]++] = from[i];
}

}  // namespace

std::int64_t sort_rows(const std::int32_t* index, std::int64_t rows, std::int64_t bound,
                       std::uint64_t* key, std::uint64_t* spare) {
  std::int64_t count = 0;
  bool sorted = true;
  for (std::int64_t r = 0; r < rows; ++r) {
    if (index[r] < -1 || index[r] >= bound) return -1 - r;
    if (index[r] == -1) continue;
    key[count] = static_cast<std::uint64_t>(index[r]) << 32 | static_cast<std::uint64_t>(r);
    sorted = sorted && (count == 0 || key[count - 1] < key[count]);
    ++count;
  }
  if (sorted) return count;
  std::uint64_t* from = key;
  std::uint64_t* to = spare;
  for (int shift = 32; shift < 64 && ((bound - 1) >> (shift - 32)) != 0; shift += kDigitBits) {
    sort_by_digit(from, to, count, shift);
    std::uint64_t* const sorted_side = to;
    to = from;
    from = sorted_side;
  }
  if (from != key) {
    std::memcpy(key, from, static_cast<std::size_t>(count) * sizeof(std::uint64_t));
  }
  return count;
}

}  // namespace moe::kernels
