#include "data/data_sources.h"

#include <gtest/gtest.h>

#include "data/sequence.h"
#include "data/support.h"
#include "data/token_shard.h"

namespace moe::data {
namespace {

using testing::ScratchFolder;

/// Documents of bytes, as `moe-data prepare` writes them: each ends with the end token 256.
std::string byte_shard(const ScratchFolder& folder, const std::string& name,
                       const std::vector<std::int64_t>& lengths) {
  const auto tokenizer = make_tokenizer("bytes", {}, "bytes");
  TokenShardWriter writer(folder / name, tokenizer->vocab_size());
  std::int64_t bytes = 0;
  for (const std::int64_t length : lengths) {
    writer.append(std::vector<std::int32_t>(static_cast<std::size_t>(length), 'x'));
    writer.append(std::vector<std::int32_t>{tokenizer->eod_id()});
    writer.end_document();
    bytes += length;
  }
  writer.finish(*tokenizer, bytes, tokenizer->eod_id());
  return (folder / name).string();
}

DataSet open(const DataConfig& config) {
  return open_data(config, {.seed = 1, .sequence_length = 4, .vocab_size = 300});
}

TEST(HeldOut, BytesAreThoseOfAllItsShards) {
  const ScratchFolder folder;
  DataConfig config;
  config.train = {byte_shard(folder, "t", {20})};
  config.validation = {byte_shard(folder, "v", {7, 5}), byte_shard(folder, "w", {30})};
  const DataSet data = open(config);
  EXPECT_EQ(data.held_out->bytes(), 42) << "without end tokens";
  EXPECT_EQ(data.held_out->tokens(), 45);
  std::filesystem::remove(shard_paths(config.validation[0]).info);
  config.eod = 256;
  EXPECT_EQ(open(config).held_out->bytes(), 42) << "counted by the tokenizer of the others";
}

TEST(HeldOut, UnknownBytesOfOneShardAreUnknownAltogether) {
  const ScratchFolder folder;
  DataConfig config;
  config.train = {byte_shard(folder, "t", {20})};
  config.validation = {byte_shard(folder, "v", {7}), byte_shard(folder, "w", {30})};
  config.eod = 256;
  for (const std::string& prefix : {config.train[0], config.validation[0], config.validation[1]})
    std::filesystem::remove(shard_paths(prefix).info);
  EXPECT_EQ(open(config).held_out->bytes(), -1);
}

TEST(HeldOut, AFractionBeginsWhereADocumentDoesIfOneIsNear) {
  struct Row {
    std::vector<std::int64_t> lengths;  ///< without the end tokens
    double fraction;
    std::int64_t held;  ///< tokens
  };
  // Shards of 20 tokens.
  for (const Row& row :
       std::initializer_list<Row>{{{9, 1, 7}, 0.5, 10},  // exactly where the second begins
                                  {{11, 7}, 0.5, 8},     // two tokens later
                                  {{14, 4}, 0.5, 5},     // half the way, the latest that counts
                                  {{15, 3}, 0.5, 10},    // too late: in the middle of a document
                                  {{19}, 0.25, 5},       // no other document at all
                                  {{3, 3, 3, 3, 3}, 0.2, 4},
                                  {{19}, 0.001, 1}}) {  // at least one token
    const ScratchFolder folder;
    DataConfig config;
    config.train = {byte_shard(folder, "t", row.lengths)};
    ASSERT_EQ(TokenShard(config.train[0]).tokens(), 20);
    config.validation_fraction = row.fraction;
    const DataSet data = open(config);
    EXPECT_EQ(data.held_out->tokens(), row.held) << row.fraction;
    EXPECT_EQ(data.train->samples_per_epoch(), std::max<std::int64_t>(1, (20 - row.held) / 4));
  }
}

TEST(HeldOut, BytesOfAPartAreCountedByTheTokenizer) {
  const ScratchFolder folder;
  DataConfig config;
  config.train = {byte_shard(folder, "t", {9, 9})};
  config.validation_fraction = 0.5;
  const DataSet data = open(config);
  EXPECT_EQ(data.held_out->tokens(), 10);
  EXPECT_EQ(data.held_out->bytes(), 9);
}

TEST(HeldOut, NothingIsHeldOutUnlessAskedFor) {
  const ScratchFolder folder;
  DataConfig config;
  config.train = {byte_shard(folder, "t", {20})};
  EXPECT_EQ(open(config).held_out, nullptr);
}

}  // namespace
}  // namespace moe::data
