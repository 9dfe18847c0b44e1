/// A yardstick for held-out loss: a model that knows how often tokens occur and nothing else.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace moe::metrics {

/// Bits per byte of the held-out text under a unigram model over tokens, estimated on the training
/// text with one added to each count, so that unseen tokens cost something finite.
/// @shape both counts [V], by token id
/// @throws InternalError if the sizes differ, V is 0 or held_out_bytes < 1
double unigram_bits_per_byte(std::span<const std::int64_t> train_counts,
                             std::span<const std::int64_t> held_out_counts,
                             std::int64_t held_out_bytes);

/// How often each byte value occurs: the counts of a byte tokenizer.
std::vector<std::int64_t> byte_counts(std::string_view text);

/// Nats per token to bits per byte.
double bits_per_byte(double nats_per_token, std::int64_t tokens, std::int64_t bytes);

}  // namespace moe::metrics
