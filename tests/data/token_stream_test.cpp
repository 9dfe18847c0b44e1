#include "data/token_stream.h"

#include <gmock/gmock.h>

#include <map>

#include "base/random.h"
#include "data/sequence.h"
#include "data/support.h"

namespace moe::data {
namespace {

using testing::Documents;
using testing::message_of;
using testing::ScratchFolder;
using testing::Sequence;
using testing::write_shard;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::int32_t kEod = 9;
constexpr std::int32_t kNo = kIgnoredTarget;

std::shared_ptr<const TokenShard> shard_of(const ScratchFolder& scratch, const Documents& documents) {
  return std::make_shared<TokenShard>(write_shard(scratch / "s", documents, 100, kEod));
}

TEST(TokenStream, PacksDocumentsThatEndWithATokenWithoutLosingATarget) {
  const ScratchFolder scratch;
  const auto shard = shard_of(scratch, {{1, 2, kEod}, {3, kEod}, {4, 5, 6, kEod}});
  const TokenStream stream(shard, 0, 9, {.vocab_size = 10, .eod = kEod});
  Sequence s(8);
  stream.read_ring(0, s.view());
  EXPECT_THAT(s.tokens, ElementsAre(1, 2, 9, 3, 9, 4, 5, 6));
  EXPECT_THAT(s.targets, ElementsAre(2, 9, 3, 9, 4, 5, 6, 9));
  // The end token opens the next document.
  EXPECT_THAT(s.starts, ElementsAre(0, 2, 4));
  EXPECT_THAT(s.positions, ElementsAre(0, 1, 0, 1, 0, 1, 2, 3));
}

TEST(TokenStream, IgnoresFirstTokensThatNothingPredicts) {
  const ScratchFolder scratch;
  const auto shard = shard_of(scratch, {{1, 2}, {3}, {4, 5, 6}});
  const TokenStream stream(shard, 0, 6, {.vocab_size = 10, .eod = -1});
  Sequence s(5);
  stream.read_ring(0, s.view());
  EXPECT_THAT(s.tokens, ElementsAre(1, 2, 3, 4, 5));
  EXPECT_THAT(s.targets, ElementsAre(2, kNo, kNo, 5, 6));
  EXPECT_THAT(s.starts, ElementsAre(0, 2, 3));
  EXPECT_THAT(s.positions, ElementsAre(0, 1, 0, 0, 1));
}

TEST(TokenStream, WithoutMaskIsOneStretch) {
  const ScratchFolder scratch;
  const auto shard = shard_of(scratch, {{1, 2, kEod}, {3, kEod}});
  const TokenStream stream(
      shard, 0, 5, {.vocab_size = 10, .eod = kEod, .document_mask = false, .predict_eod = false});
  Sequence s(4);
  stream.read_ring(0, s.view());
  EXPECT_THAT(s.targets, ElementsAre(2, kNo, 3, kNo));
  EXPECT_THAT(s.starts, ElementsAre(0));
  EXPECT_THAT(s.positions, ElementsAre(0, 1, 2, 3));
}

TEST(TokenStream, AnEndTokenOfZeroIsOne) {
  const ScratchFolder scratch;
  const auto shard =
      std::make_shared<TokenShard>(write_shard(scratch / "s", {{1, 2, 0}, {3, 0}}, 100, 0));
  for (const bool predicted : {true, false}) {
    const TokenStream stream(shard, 0, 5,
                             {.vocab_size = 10, .eod = 0, .predict_eod = predicted});
    Sequence s(4);
    stream.read_ring(0, s.view());
    const std::int32_t end = predicted ? 0 : kNo;
    EXPECT_THAT(s.targets, ElementsAre(2, end, 3, end));
    EXPECT_THAT(s.starts, ElementsAre(0, 2));
  }
}

TEST(TokenStream, WrapsAsOnARing) {
  const ScratchFolder scratch;
  const auto shard = shard_of(scratch, {{1, 2, kEod}, {3, kEod}});
  const TokenStream stream(shard, 0, 5, {.vocab_size = 10, .eod = kEod});
  Sequence s(7);
  stream.read_ring(3, s.view());
  EXPECT_THAT(s.tokens, ElementsAre(3, 9, 1, 2, 9, 3, 9));
  EXPECT_THAT(s.targets, ElementsAre(9, 1, 2, 9, 3, 9, 1));
  EXPECT_THAT(s.starts, ElementsAre(0, 1, 4, 6));
}

TEST(TokenStream, StaysInItsRange) {
  const ScratchFolder scratch;
  const auto shard = shard_of(scratch, {{1, 2, 3, 4, 5, 6, kEod}});
  const TokenStream stream(shard, 2, 5, {.vocab_size = 10, .eod = kEod});
  Sequence s(4);
  stream.read_ring(0, s.view());
  EXPECT_THAT(s.tokens, ElementsAre(3, 4, 5, 3));
  EXPECT_THAT(s.targets, ElementsAre(4, 5, kNo, 4));  // nothing says that 3 follows 5
  EXPECT_THAT(s.starts, ElementsAre(0, 3));
}

// The rule, spelled out token by token, for every offset of random documents.
TEST(TokenStream, AgreesWithAPlainReferenceEverywhere) {
  const ScratchFolder scratch;
  const Random random(1, "documents");
  std::uint64_t draw = 0;
  Documents documents;
  std::vector<std::int32_t> flat;
  std::vector<bool> starts_document;
  for (int d = 0; d < 12; ++d) {
    std::vector<std::int32_t> document;
    for (std::uint64_t n = random.below(5, draw++) + 1; n > 0; --n) {
      document.push_back(static_cast<std::int32_t>(random.below(8, draw++)));
    }
    if (random.below(3, draw++) > 0) document.push_back(kEod);
    for (std::size_t i = 0; i < document.size(); ++i) starts_document.push_back(i == 0);
    flat.insert(flat.end(), document.begin(), document.end());
    documents.push_back(document);
  }
  const auto shard = shard_of(scratch, documents);
  const std::size_t n = flat.size();
  const TokenStream stream(shard, 0, shard->tokens(), {.vocab_size = 10, .eod = kEod});
  for (const std::size_t length : {std::size_t{1}, std::size_t{2}, std::size_t{7}, n, 2 * n + 3}) {
    for (std::size_t at = 0; at < n; ++at) {
      Sequence s(length);
      stream.read_ring(static_cast<std::int64_t>(at), s.view());
      std::vector<std::int32_t> starts{0};
      for (std::size_t i = 0; i < length; ++i) {
        const std::size_t next = (at + i + 1) % n;
        ASSERT_EQ(s.tokens[i], flat[(at + i) % n]);
        const bool after_end = s.tokens[i] == kEod;
        if (starts_document[next]) {
          const std::size_t start = after_end ? i : i + 1;
          if (start > 0 && start < length) starts.push_back(static_cast<std::int32_t>(start));
        }
        ASSERT_EQ(s.targets[i], starts_document[next] && !after_end ? kNo : flat[next]);
      }
      starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
      ASSERT_EQ(s.starts, starts) << "at " << at << " length " << length;
    }
  }
}

TEST(TokenStream, WindowsPredictEveryTokenOnce) {
  const ScratchFolder scratch;
  for (const bool ends : {true, false}) {
    Documents documents{{1, 2, 3}, {4}, {5, 6}, {7, 8, 1, 2}};
    if (ends) {
      for (auto& document : documents) document.push_back(kEod);
    }
    const auto shard = shard_of(scratch, documents);
    std::vector<std::int32_t> flat(static_cast<std::size_t>(shard->tokens()));
    shard->read(0, flat);
    const TokenStream stream(shard, 0, shard->tokens(), {.vocab_size = 10, .eod = kEod});
    for (const std::int64_t length : {1, 3, 4, 100}) {
      std::vector<std::int32_t> predicted;
      for (std::int64_t w = 0; w * length < stream.tokens(); ++w) {
        Sequence s(static_cast<std::size_t>(length));
        stream.read_window(w, s.view());
        if (w == 0) {
          EXPECT_EQ(s.tokens[0], kEod);
        }
        for (const std::int32_t target : s.targets) {
          if (target != kNo) predicted.push_back(target);
        }
      }
      EXPECT_EQ(predicted, flat) << length;
    }
  }
}

TEST(TokenStream, RefusesTokensPastTheVocabulary) {
  const ScratchFolder scratch;
  const auto shard = shard_of(scratch, {{1, 2, 3, 77, 5}});
  const TokenStream stream(shard, 0, 5, {.vocab_size = 77});
  Sequence s(2);
  stream.read_ring(0, s.view());
  EXPECT_THAT(message_of([&] { stream.read_ring(1, s.view()); }), HasSubstr("s.bin: byte 6: token"));
  EXPECT_THAT(message_of([&] { stream.read_ring(3, s.view()); }), HasSubstr("found 77"));
  EXPECT_THAT(message_of([&] { stream.read_window(1, s.view()); }), HasSubstr("byte 6"));
}

}  // namespace
}  // namespace moe::data
