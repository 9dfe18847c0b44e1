#include "run/unigram.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/format.h"
#include "data/token_shard.h"
#include "metrics/unigram.h"

namespace moe::run {
namespace {

const data::ShardInfo& info_of(const data::TokenShard& shard) {
  if (!shard.info()) {
    throw DataError(format("{}.json: expected the description moe-data prepare writes, found none",
                           shard.prefix().string()));
  }
  return *shard.info();
}

std::vector<std::int64_t> count_tokens(const data::TokenShard& shard, std::int64_t vocab_size) {
  constexpr std::int64_t kBlock = std::int64_t{1} << 20;
  std::vector<std::int64_t> counts(static_cast<std::size_t>(vocab_size), 0);
  std::vector<std::int32_t> block;
  for (std::int64_t begin = 0; begin < shard.tokens(); begin += kBlock) {
    block.resize(static_cast<std::size_t>(std::min(kBlock, shard.tokens() - begin)));
    shard.read(begin, block);
    shard.require_below(block, begin, vocab_size);
    for (const std::int32_t token : block) ++counts[static_cast<std::size_t>(token)];
  }
  return counts;
}

}  // namespace

double unigram_of_shards(const Path& train_prefix, const Path& held_out_prefix) {
  const data::TokenShard train(train_prefix);
  const data::TokenShard held_out(held_out_prefix);
  const std::int64_t vocab_size = info_of(train).vocab_size;
  if (info_of(held_out).tokenizer_digest != info_of(train).tokenizer_digest) {
    throw DataError(format("{}: expected the tokenizer of {}, found another",
                           held_out_prefix.string(), train_prefix.string()));
  }
  return metrics::unigram_bits_per_byte(count_tokens(train, vocab_size),
                                        count_tokens(held_out, vocab_size),
                                        info_of(held_out).bytes);
}

}  // namespace moe::run
