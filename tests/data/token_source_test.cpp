#include "data/token_source.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "data/sequence.h"
#include "data/support.h"

namespace moe::data {
namespace {

using testing::ScratchFolder;
using testing::Sequence;

constexpr std::int64_t kLength = 4;
constexpr std::int64_t kTokens = 50;  // of a shard: 12 sequences, two tokens are left
constexpr std::int64_t kVocab = 1000;

/// One document of tokens base .. base + 49.
TokenStream stream(const ScratchFolder& folder, const std::string& name, std::int32_t base,
                   std::int64_t tokens = kTokens) {
  std::vector<std::int32_t> document;
  for (std::int64_t i = 0; i < tokens; ++i) document.push_back(base + static_cast<std::int32_t>(i));
  const Path prefix = testing::write_shard(folder / name, {document}, kVocab);
  return {std::make_shared<TokenShard>(prefix), 0, tokens, {.vocab_size = kVocab}};
}

std::int32_t first_token(const TokenSource& source, std::int64_t n) {
  Sequence s(kLength);
  source.read(n, s.view());
  return s.tokens[0];
}

TEST(TokenSource, TheFirstEpochCutsEveryStreamFromItsBeginning) {
  for (const bool shuffle : {true, false}) {
    const ScratchFolder folder;
    const TokenSource source(
        {stream(folder, "a", 100), stream(folder, "b", 300), stream(folder, "c", 500)},
        {.sequence_length = kLength, .shuffle = shuffle, .seed = 3});
    ASSERT_EQ(source.samples_per_epoch(), 3 * 12);
    std::vector<std::int32_t> firsts;
    for (std::int64_t n = 0; n < source.samples_per_epoch(); ++n)
      firsts.push_back(first_token(source, n));
    std::vector<std::int32_t> expected;
    for (const std::int32_t base : {100, 300, 500}) {
      for (std::int32_t i = 0; i < 12; ++i) expected.push_back(base + 4 * i);
    }
    EXPECT_EQ(firsts == expected, !shuffle);
    std::sort(firsts.begin(), firsts.end());
    EXPECT_EQ(firsts, expected);
  }
}

TEST(TokenSource, LaterEpochsCutElsewhereUnlessNothingIsShuffled) {
  for (const bool shuffle : {true, false}) {
    const ScratchFolder folder;
    const TokenSource source({stream(folder, "a", 100), stream(folder, "b", 300)},
                             {.sequence_length = kLength, .shuffle = shuffle, .seed = 3});
    std::set<std::int32_t> offsets;  // where the cuts of an epoch and stream stand
    for (std::int64_t epoch = 0; epoch < 8; ++epoch) {
      for (std::int64_t n = 0; n < 24; ++n) {
        const std::int32_t token = first_token(source, epoch * 24 + n);
        offsets.insert(token % 100 % 4);
      }
    }
    EXPECT_EQ(offsets.size() > 1, shuffle);
  }
}

TEST(TokenSource, AStreamShorterThanASequenceIsOneSequence) {
  const ScratchFolder folder;
  const TokenSource source({stream(folder, "a", 100, 3), stream(folder, "b", 300, 9)},
                           {.sequence_length = kLength, .shuffle = false});
  EXPECT_EQ(source.samples_per_epoch(), 3);
  Sequence s(kLength);
  source.read(0, s.view());
  EXPECT_EQ(s.tokens, (std::vector<std::int32_t>{100, 101, 102, 100})) << "as on a ring";
  EXPECT_EQ(first_token(source, 1), 300);
  EXPECT_EQ(first_token(source, 2), 304);
  EXPECT_EQ(first_token(source, 3), 100) << "the next epoch";
}

TEST(TokenHeldOut, WindowsOfEachStreamCoverItAlone) {
  const ScratchFolder folder;
  const TokenHeldOut held_out({stream(folder, "a", 100, 6), stream(folder, "b", 300, 4)}, kLength,
                              77);
  EXPECT_EQ(held_out.windows(), 3);
  EXPECT_EQ(held_out.tokens(), 10);
  EXPECT_EQ(held_out.bytes(), 77);
  const std::vector<std::vector<std::int32_t>> targets{
      {100, 101, 102, 103}, {104, 105, kIgnoredTarget, kIgnoredTarget}, {300, 301, 302, 303}};
  for (std::int64_t w = 0; w < 3; ++w) {
    Sequence s(kLength);
    held_out.read(w, s.view());
    EXPECT_EQ(s.targets, targets[static_cast<std::size_t>(w)]) << w;
  }
}

}  // namespace
}  // namespace moe::data
