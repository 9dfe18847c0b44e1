#include "run/unigram.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "data/token_shard_writer.h"
#include "data/tokenizer.h"
#include "support/temporary_folder.h"
#include "support/tolerance.h"

namespace moe::run {
namespace {

Path shard(const Path& prefix, const std::vector<std::int32_t>& tokens, std::int64_t bytes) {
  const auto tokenizer = data::make_tokenizer("bytes", {}, "bytes");
  data::TokenShardWriter writer(prefix, tokenizer->vocab_size());
  writer.append(tokens);
  writer.finish(*tokenizer, bytes, -1);
  return prefix;
}

TEST(UnigramOfShards, EqualsTheFormulaByHand) {
  const testing::TemporaryFolder folder(true);
  const Path train = shard(folder / "train", {5, 5, 5, 7}, 4);
  const Path held_out = shard(folder / "held_out", {5, 7, 9}, 6);
  // One is added to each of 257 counts.
  const double total = 4 + 257;
  const double bits = -(std::log2(4 / total) + std::log2(2 / total) + std::log2(1 / total));
  EXPECT_NEAR(unigram_of_shards(train, held_out), bits / 6,
              bits * testing::tolerance(DType::F64, 4));
}

TEST(UnigramOfShards, RefusesAShardWithoutADescription) {
  const testing::TemporaryFolder folder(true);
  const Path train = shard(folder / "train", {5, 7}, 2);
  const Path held_out = shard(folder / "held_out", {5}, 1);
  std::filesystem::remove(folder / "held_out.json");
  EXPECT_THROW(unigram_of_shards(train, held_out), DataError);
}

}  // namespace
}  // namespace moe::run
