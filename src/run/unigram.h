/// The unigram yardstick over token shards.
#pragma once

#include "base/file.h"

namespace moe::run {

/// Bits per byte of the held-out shard under a unigram model counted on the training shard (one added to each count).
/// @throws DataError when a shard does not say its vocabulary and bytes, or the two used different tokenizers
double unigram_of_shards(const Path& train_prefix, const Path& held_out_prefix);

}  // namespace moe::run
