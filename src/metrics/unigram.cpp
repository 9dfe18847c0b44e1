#include "metrics/unigram.h"

#include <cmath>
#include <numbers>

#include "base/check.h"

namespace moe::metrics {

double unigram_bits_per_byte(std::span<const std::int64_t> train_counts,
                             std::span<const std::int64_t> held_out_counts,
                             std::int64_t held_out_bytes) {
  MOE_CHECK_EQ(train_counts.size(), held_out_counts.size());
  MOE_CHECK(!train_counts.empty());
  MOE_CHECK_GE(held_out_bytes, 1);
  double total = 0;
  for (const std::int64_t count : train_counts) total += static_cast<double>(count) + 1;
  double bits = 0;
  for (std::size_t id = 0; id < train_counts.size(); ++id) {
    if (held_out_counts[id] == 0) continue;
    const double probability = (static_cast<double>(train_counts[id]) + 1) / total;
    bits -= static_cast<double>(held_out_counts[id]) * std::log2(probability);
  }
  return bits / static_cast<double>(held_out_bytes);
}

std::vector<std::int64_t> byte_counts(std::string_view text) {
  std::vector<std::int64_t> counts(256, 0);
  for (const char letter : text) ++counts[static_cast<unsigned char>(letter)];
  return counts;
}

double bits_per_byte(double nats_per_token, std::int64_t tokens, std::int64_t bytes) {
  MOE_CHECK_GE(bytes, 1);
  return nats_per_token * static_cast<double>(tokens) / (std::numbers::ln2 * static_cast<double>(bytes));
}

}  // namespace moe::metrics
