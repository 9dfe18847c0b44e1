#include "data/loader.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "base/random.h"
#include "data/data_sources.h"
#include "data/sequence.h"
#include "data/support.h"
#include "data/token_shard.h"

namespace moe::data {
namespace {

using testing::message_of;
using testing::ScratchFolder;
using testing::Sequence;
using testing::write_shard;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A source whose sequence n says n.
class CountingSource final : public SampleSource {
 public:
  std::int64_t samples_per_epoch() const override { return 1000; }
  void read(std::int64_t n, const SequenceView& out) const override {
    if (n == fails_at) throw DataError("x.bin: byte 4: token");
    std::fill(out.tokens.begin(), out.tokens.end(), static_cast<std::int32_t>(n));
    std::fill(out.targets.begin(), out.targets.end(), static_cast<std::int32_t>(n + 1));
    out.starts.assign(1, 0);
    number_positions(out);
  }
  std::string fingerprint() const override { return "counting"; }
  std::int64_t fails_at = -1;
};

TEST(BatchLayout, RefusesSizesThatDoNotDivide) {
  for (const auto& [global, micro, readers] :
       {std::tuple{7, 1, 2}, {8, 3, 1}, {8, 4, 4}, {0, 1, 1}, {8, 0, 1}}) {
    const BatchLayout layout{.global_batch = global, .micro_batch = micro, .readers = readers};
    EXPECT_THAT(message_of<ConfigError>([&] { layout.check(); }), HasSubstr("global_batch_size"));
  }
}

// Readers and accumulation are two spellings of one order.
TEST(Loader, ReadersSeeWhatOneReaderAccumulates) {
  const auto source = std::make_shared<CountingSource>();
  const auto step_of = [&](std::int64_t reader, std::int64_t readers) {
    Loader loader(source, {.layout = {8, 2, reader, readers}, .sequence_length = 3});
    loader.next_step();
    return loader.next_step();
  };
  std::vector<std::vector<std::int64_t>> one;
  for (const Batch& batch : step_of(0, 1).micro_batches) one.push_back(batch.sample_ids);
  EXPECT_THAT(one.front(), ElementsAre(8, 9));
  for (const std::int64_t readers : {2, 4}) {
    std::vector<std::vector<std::int64_t>> joined;
    for (std::int64_t reader = 0; reader < readers; ++reader) {
      for (const Batch& batch : step_of(reader, readers).micro_batches) {
        joined.push_back(batch.sample_ids);
      }
    }
    EXPECT_EQ(joined, one);
  }
}

// Runs of random length under random worlds, each continuing where the last one stood, with steps
// thrown away after the cursor was taken (as a crash does): every id once, none left out.
TEST(Loader, SampleIdsAppearExactlyOnceAcrossChangesOfWorldSize) {
  const auto source = std::make_shared<CountingSource>();
  const Random random(4, "worlds");
  std::uint64_t draw = 0;
  std::vector<std::int64_t> seen;
  Cursor cursor;
  for (int run = 0; run < 25; ++run) {
    const std::int64_t readers = std::int64_t{1} << random.below(4, draw++);
    const std::int64_t micro = std::int64_t{1} << random.below(2, draw++);
    const std::int64_t global = 16 * static_cast<std::int64_t>(1 + random.below(2, draw++));
    const auto steps = static_cast<std::int64_t>(random.below(4, draw++));
    const bool crash = random.below(2, draw++) == 0;
    Cursor saved = cursor;
    for (std::int64_t reader = 0; reader < readers; ++reader) {
      Loader loader(source, {.layout = {global, micro, reader, readers},
                             .sequence_length = 1,
                             .prefetch = static_cast<std::int64_t>(random.below(3, draw++))},
                    cursor);
      for (std::int64_t s = 0; s < steps; ++s) {
        for (const Batch& batch : loader.next_step().micro_batches) {
          seen.insert(seen.end(), batch.sample_ids.begin(), batch.sample_ids.end());
          EXPECT_EQ(batch.tokens_BS.front(), batch.sample_ids.front());
        }
      }
      saved = loader.cursor();
      if (crash) loader.next_step();
    }
    cursor = saved;
  }
  std::sort(seen.begin(), seen.end());
  std::vector<std::int64_t> expected(static_cast<std::size_t>(cursor.samples_consumed));
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_GT(seen.size(), 100U);
  EXPECT_EQ(seen, expected);
}

TEST(Loader, PassesFailuresOnAfterTheStepsBeforeThem) {
  for (const std::int64_t prefetch : {0, 1, 5}) {
    auto source = std::make_shared<CountingSource>();
    source->fails_at = 5;
    Loader loader(source, {.layout = {2, 1, 0, 1}, .sequence_length = 4, .prefetch = prefetch});
    loader.next_step();
    loader.next_step();
    EXPECT_THAT(message_of([&] { loader.next_step(); }), HasSubstr("byte 4"));
    EXPECT_THAT(message_of([&] { loader.next_step(); }), HasSubstr("byte 4"));
    EXPECT_EQ(loader.cursor().samples_consumed, 4);
  }
}

TEST(Loader, JoinsTheDocumentBoundsOfItsRows) {
  const ScratchFolder scratch;
  write_shard(scratch / "t", {{1, 2, 9}, {3, 9}, {4, 5, 6, 9}}, 10, 9);
  DataConfig config;
  config.train = {(scratch / "t").string()};
  config.shuffle = false;
  config.eod = 9;
  std::filesystem::remove(scratch / "t.json");
  const DataSet data = open_data(config, {.seed = 1, .sequence_length = 4, .vocab_size = 10});
  Loader loader(data.train, {.layout = {2, 2, 0, 1}, .sequence_length = 4});
  const StepBatches step = loader.next_step();
  const Batch& batch = step.micro_batches.front();
  EXPECT_THAT(batch.tokens_BS, ElementsAre(1, 2, 9, 3, 9, 4, 5, 6));
  EXPECT_THAT(batch.targets_BS, ElementsAre(2, 9, 3, 9, 4, 5, 6, 9));
  EXPECT_THAT(batch.document_bounds, ElementsAre(0, 2, 4, 8));
  EXPECT_EQ(step.target_count, 8);
}

class OpenData : public ::testing::Test {
 protected:
  static constexpr std::int64_t kLength = 4;
  /// A shard whose tokens name their place: document d holds d * 100 + i.
  std::string shard(const std::string& name, std::int64_t documents, std::int64_t base = 0) {
    testing::Documents all;
    for (std::int64_t d = 0; d < documents; ++d) {
      std::vector<std::int32_t> document;
      for (std::int64_t i = 0; i < 3 + d % 5; ++i) {
        document.push_back(static_cast<std::int32_t>(base + d * 10 + i));
      }
      document.push_back(kEod);
      all.push_back(document);
    }
    const Path prefix = write_shard(scratch_ / name, all, kVocab, kEod);
    std::filesystem::remove(shard_paths(prefix).info);  // as another program writes them
    return prefix.string();
  }
  DataSet open(const DataConfig& config, std::uint64_t seed = 3) {
    return open_data(config, {.seed = seed, .sequence_length = kLength, .vocab_size = kVocab});
  }
  static std::vector<std::int32_t> targets_of(const SampleSource& source, std::int64_t begin,
                                              std::int64_t end) {
    std::vector<std::int32_t> all;
    for (std::int64_t n = begin; n < end; ++n) {
      Sequence s(kLength);
      source.read(n, s.view());
      all.insert(all.end(), s.targets.begin(), s.targets.end());
    }
    return all;
  }
  static DataConfig config() {
    DataConfig made;
    made.eod = kEod;
    return made;
  }
  static constexpr std::int32_t kEod = 9999;
  static constexpr std::int64_t kVocab = 10000;
  ScratchFolder scratch_;
};

TEST_F(OpenData, AnEpochPredictsNoTokenTwiceAndTheNextOneIsAnother) {
  DataConfig c = config();
  c.train = {shard("a", 40), shard("b", 30, 1000)};
  const DataSet data = open(c);
  const std::int64_t n = data.train->samples_per_epoch();
  const auto first = targets_of(*data.train, 0, n);
  std::map<std::int32_t, int> counts;
  for (const std::int32_t target : first) {
    if (target != kEod) ++counts[target];
  }
  for (const auto& [token, count] : counts) EXPECT_EQ(count, 1) << token;
  const std::int64_t tokens =
      TokenShard(c.train[0]).tokens() + TokenShard(c.train[1]).tokens();
  EXPECT_GE(n * kLength, tokens - 2 * kLength);

  const auto second = targets_of(*data.train, n, 2 * n);
  EXPECT_NE(second, first);
  std::map<std::int32_t, int> again;
  for (const std::int32_t target : second) {
    if (target != kEod) ++again[target];
  }
  for (const auto& [token, count] : again) EXPECT_EQ(count, 1) << token;
}

TEST_F(OpenData, OrderIsAPureFunctionOfSeedAndNumber) {
  DataConfig c = config();
  c.train = {shard("a", 40)};
  const auto one = targets_of(*open(c, 3).train, 5, 60);
  EXPECT_EQ(targets_of(*open(c, 3).train, 5, 60), one);
  EXPECT_NE(targets_of(*open(c, 4).train, 5, 60), one);
  c.shuffle = false;
  const auto plain = targets_of(*open(c).train, 0, 3);
  EXPECT_THAT(plain, ElementsAre(1, 2, kEod, 10, 11, 12, 13, kEod, 20, 21, 22, 23));
}

TEST_F(OpenData, MixesWeightedSources) {
  DataConfig c = config();
  c.sources = {{shard("a", 40), 3}, {shard("b", 30, 1000), 1}};
  const DataSet data = open(c);
  std::int64_t from_b = 0;
  constexpr std::int64_t kSamples = 4096;
  for (std::int64_t g = 0; g < kSamples; ++g) {
    const auto targets = targets_of(*data.train, g, g + 1);
    const bool b = std::any_of(targets.begin(), targets.end(),
                               [](std::int32_t t) { return t >= 1000 && t != kEod; });
    from_b += b ? 1 : 0;
  }
  EXPECT_EQ(from_b, kSamples / 4);
}

TEST_F(OpenData, FingerprintKnowsContentNotPlace) {
  DataConfig a = config();
  a.train = {shard("a", 40)};
  DataConfig moved = config();
  moved.train = {shard("sub/elsewhere", 40)};
  DataConfig other = config();
  other.train = {shard("other", 40, 1)};
  DataConfig weighted = config();
  weighted.sources = {{a.train[0], 1}, {other.train[0], 2}};
  DataConfig otherwise = weighted;
  otherwise.sources[1].weight = 3;
  EXPECT_EQ(open(a).train->fingerprint(), open(moved).train->fingerprint());
  EXPECT_NE(open(a).train->fingerprint(), open(other).train->fingerprint());
  EXPECT_NE(open(weighted).train->fingerprint(), open(otherwise).train->fingerprint());
}

TEST_F(OpenData, HoldsOutTheLastDocuments) {
  DataConfig c = config();
  c.train = {shard("a", 40)};
  c.validation_fraction = 0.1;
  const DataSet data = open(c);
  const auto train = targets_of(*data.train, 0, data.train->samples_per_epoch());
  const HeldOutLoader loader(data.held_out, {.micro_batch = 3}, kLength);
  std::vector<std::int32_t> held;
  for (std::int64_t i = 0; i < loader.batches(); ++i) {
    for (const std::int32_t target : loader.batch(i).targets_BS) {
      if (target != kIgnoredTarget && target != kEod) held.push_back(target);
    }
  }
  EXPECT_EQ(held.front() % 10, 0);  // where a document begins
  EXPECT_THAT(train, Each(::testing::Truly([&](std::int32_t t) {
                return t == kEod || t == kIgnoredTarget || t < held.front();
              })));
  const std::int64_t tokens = TokenShard(c.train[0]).tokens();
  EXPECT_NEAR(static_cast<double>(data.held_out->tokens()), 0.1 * static_cast<double>(tokens), 8);
}

TEST_F(OpenData, HeldOutWindowsAreCoveredOnceByAnyNumberOfReaders) {
  DataConfig c = config();
  c.train = {shard("a", 4)};
  c.validation = {shard("v", 7), shard("w", 3, 2000)};
  const DataSet data = open(c);
  std::vector<std::int32_t> expected;
  for (std::int64_t w = 0; w < data.held_out->windows(); ++w) {
    Sequence s(kLength);
    data.held_out->read(w, s.view());
    for (const std::int32_t target : s.targets) {
      if (target != kIgnoredTarget) expected.push_back(target);
    }
  }
  EXPECT_EQ(static_cast<std::int64_t>(expected.size()), data.held_out->tokens());
  std::sort(expected.begin(), expected.end());
  for (const std::int64_t readers : {1, 2, 3, 8, 50}) {
    std::vector<std::int32_t> seen;
    std::int64_t counted = 0;
    for (std::int64_t reader = 0; reader < readers; ++reader) {
      const HeldOutLoader loader(
          data.held_out, {.micro_batch = 2, .reader = reader, .readers = readers}, kLength);
      EXPECT_EQ(loader.batches(), (data.held_out->windows() + 2 * readers - 1) / (2 * readers));
      for (std::int64_t i = 0; i < loader.batches(); ++i) {
        const Batch batch = loader.batch(i);
        EXPECT_EQ(batch.document_bounds.back(), 2 * kLength);
        counted += batch.target_count;
        for (const std::int32_t target : batch.targets_BS) {
          if (target != kIgnoredTarget) seen.push_back(target);
        }
      }
    }
    std::sort(seen.begin(), seen.end());
    EXPECT_EQ(seen, expected) << readers;
    EXPECT_EQ(counted, data.held_out->tokens());
  }
}

TEST_F(OpenData, RefusesWhatDoesNotFit) {
  DataConfig c;
  c.train = {write_shard(scratch_ / "bytes", {{1, 2, 256}}, 257, 256).string()};
  const auto with_vocab = [&](std::int64_t vocab) {
    return message_of<ConfigError>(
        [&] { open_data(c, {.seed = 1, .sequence_length = 4, .vocab_size = vocab}); });
  };
  EXPECT_THAT(with_vocab(256), HasSubstr("model.vocab_size: expected at least 257"));
  EXPECT_THAT(with_vocab(0), HasSubstr("model.vocab_size"));
  EXPECT_EQ(with_vocab(257), "");
  c.train = {write_shard(scratch_ / "liar", {{1, 2, 9}}, 10, 9).string()};
  EXPECT_THAT(message_of([&] { open(c); }), HasSubstr("257"));
  write_shard(scratch_ / "none", {}, 10);
  c.train = {(scratch_ / "none").string()};
  EXPECT_THAT(message_of([&] { open(c); }), HasSubstr("empty shard"));
  c.train = {"nowhere/at-all"};
  EXPECT_THAT(message_of([&] { open(c); }), HasSubstr("nowhere/at-all.idx"));
  c.source = "tape";
  EXPECT_THAT(message_of<ConfigError>([&] { open(c); }), HasSubstr("allowed tokens, synthetic"));
}

TEST_F(OpenData, ReadsAShardShorterThanOneSequence) {
  DataConfig c = config();
  c.train = {write_shard(scratch_ / "tiny", {{7}}, kVocab, kEod).string()};
  std::filesystem::remove(scratch_ / "tiny.json");
  EXPECT_THAT(targets_of(*open(c).train, 0, 3), Each(::testing::AnyOf(7, kIgnoredTarget)));
}

TEST_F(OpenData, NoticesAShardThatChangesUnderARun) {
  DataConfig c = config();
  c.train = {shard("a", 40)};
  const DataSet data = open(c);
  data.train->check_unchanged();
  shard("a", 41);
  EXPECT_THAT(message_of([&] { data.train->check_unchanged(); }), HasSubstr("changed"));
}

// What every registered source owes.
class EverySource : public OpenData, public ::testing::WithParamInterface<std::string> {
 protected:
  DataSet open_source() {
    DataConfig c = config();
    c.source = GetParam();
    c.synthetic.samples = 50;
    if (GetParam() == "tokens") {
      c.train = {shard("a", 60)};
      c.validation_fraction = 0.1;
    }
    return open(c);
  }
};
INSTANTIATE_TEST_SUITE_P(Registry, EverySource, ::testing::ValuesIn(data_sources().names()));

TEST_P(EverySource, GivesSequencesThatAreWellFormedAndRepeatable) {
  const DataSet data = open_source();
  ASSERT_GT(data.train->samples_per_epoch(), 0);
  ASSERT_FALSE(data.train->fingerprint().empty());
  for (std::int64_t n = 0; n < 2 * data.train->samples_per_epoch(); ++n) {
    Sequence a(kLength);
    Sequence b(kLength);
    data.train->read(n, a.view());
    data.train->read(n, b.view());
    ASSERT_EQ(a.tokens, b.tokens);
    ASSERT_EQ(a.targets, b.targets);
    ASSERT_EQ(a.starts.front(), 0);
    ASSERT_TRUE(std::is_sorted(a.starts.begin(), a.starts.end()));
    for (std::size_t i = 0; i < kLength; ++i) {
      ASSERT_TRUE(a.tokens[i] >= 0 && a.tokens[i] < kVocab);
      if (i + 1 < kLength && a.targets[i] != kIgnoredTarget) {
        ASSERT_EQ(a.targets[i], a.tokens[i + 1]);
      }
    }
  }
  ASSERT_NE(data.held_out, nullptr);
  EXPECT_GT(data.held_out->windows(), 0);
}

TEST(Synthetic, CanBeLearned) {
  DataConfig config;
  config.source = "synthetic";
  config.synthetic.domains = 1;
  const DataSet data = open_data(config, {.seed = 1, .sequence_length = 256, .vocab_size = 50});
  // The most frequent successor of each token, from some sequences, predicts others.
  std::vector<std::vector<int>> counts(50, std::vector<int>(50, 0));
  Sequence s(256);
  for (std::int64_t n = 0; n < 200; ++n) {
    data.train->read(n, s.view());
    for (std::size_t i = 0; i < 256; ++i) {
      ++counts[static_cast<std::size_t>(s.tokens[i])][static_cast<std::size_t>(s.targets[i])];
    }
  }
  int right = 0;
  int total = 0;
  for (std::int64_t n = 200; n < 220; ++n) {
    data.train->read(n, s.view());
    for (std::size_t i = 0; i < 256; ++i, ++total) {
      const auto& row = counts[static_cast<std::size_t>(s.tokens[i])];
      right += std::max_element(row.begin(), row.end()) - row.begin() == s.targets[i] ? 1 : 0;
    }
  }
  EXPECT_GT(right, total * 2 / 5);  // at least half of the 80 % that the tables decide
}

}  // namespace
}  // namespace moe::data
