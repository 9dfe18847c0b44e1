// Do moe-data's commands leave what they promise, or nothing?
#include <gmock/gmock.h>

#include <sstream>

#include "data/commands/inspect.h"
#include "data/commands/prepare.h"
#include "data/commands/split.h"
#include "data/commands/train_tokenizer.h"
#include "data/support.h"
#include "data/token_shard.h"
#include "data/tokenizer.h"

namespace moe::data {
namespace {

using testing::message_of;
using testing::ScratchFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Commands : public ::testing::Test {
 protected:
  PrepareOptions bytes(std::vector<std::string> inputs) {
    PrepareOptions options;
    options.inputs = std::move(inputs);
    options.tokenizer = "bytes";
    options.output = scratch_ / "out/shard";
    return options;
  }
  PrepareResult run(const PrepareOptions& options) { return prepare(options, {.out = &quiet_}); }
  static std::string text_of(const Path& prefix) {
    const TokenShard shard(prefix);
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(shard.tokens()));
    shard.read(0, tokens);
    return load_tokenizer(prefix.string())->decode(tokens);
  }
  std::string words(int lines) const {
    std::string text;
    for (int i = 0; i < lines; ++i) {
      text += "line " + std::to_string(i * 7919 % 1000) + " of the text, with words and naïve é\n";
    }
    return text;
  }
  ScratchFolder scratch_;
  std::ostringstream quiet_;
};

TEST_F(Commands, PrepareKeepsEveryByteAndDocument) {
  const std::string nasty("a\0\xff\xe2\x96\x81\r\n", 8);
  const auto options = bytes({scratch_.write("a.txt", nasty), scratch_.write("b.txt", ""),
                              scratch_.write("c.jsonl", "{\"text\": \"x\"}\n{\"text\": \"\"}\n")});
  const ShardInfo info = run(options).train;
  EXPECT_EQ(info.documents, 2);  // empty ones leave no trace
  EXPECT_EQ(info.bytes, 9);
  EXPECT_EQ(info.tokens, 11);
  EXPECT_EQ(text_of(options.output), nasty + "x");
  EXPECT_EQ(verify_shard(options.output).tokens, 11);
  EXPECT_THAT(quiet_.str(), HasSubstr("100%"));
}

TEST_F(Commands, PrepareDoesNotDependOnThreads) {
  std::string model = (scratch_ / "m.model").string();
  TrainTokenizerOptions training;
  training.inputs = {scratch_.write("t.txt", words(3000))};
  training.output = model;
  training.training.vocab_size = 330;
  train_tokenizer(training, {.out = &quiet_});
  const std::string giant(200000, 'a');
  auto options = bytes({scratch_.write("big.txt", words(20000) + giant + words(100))});
  options.tokenizer = model;
  std::string first;
  for (const int threads : {1, 2, 3}) {
    options.threads = threads;
    const ShardInfo info = run(options).train;
    if (first.empty()) first = info.bin_digest;
    EXPECT_EQ(info.bin_digest, first) << threads;
  }
  // And the pieces in which it was read are invisible too.
  const std::string text = read_file(options.inputs[0]);
  std::vector<std::int32_t> expected = load_tokenizer(model)->encode(text);
  expected.push_back(load_tokenizer(model)->eod_id());
  const TokenShard shard(options.output);
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(shard.tokens()));
  shard.read(0, tokens);
  EXPECT_EQ(tokens, expected);
  EXPECT_EQ(text_of(options.output), text);
}

TEST_F(Commands, PrepareNeedsNoPlaceToCut) {
  // Nobody knows where this pattern would let a text be cut, so that documents are encoded whole.
  std::string json = read_file(Path(MOE_SOURCE_DIR) / "tests/data/tokenizer_json/kimi.json");
  scratch_.write("unknown/tokenizer.json", json);
  auto options = bytes({scratch_.write("big.txt", words(230000)), scratch_.write("small.txt", words(10))});
  options.tokenizer = (scratch_ / "unknown").string();
  ASSERT_EQ(load_tokenizer(options.tokenizer)->safe_cut(words(100)), 0U);
  const ShardInfo info = run(options).train;
  EXPECT_EQ(info.documents, 2);
  EXPECT_GT(info.bytes, std::int64_t{8} << 20);
  EXPECT_EQ(text_of(options.output), words(230000) + words(10));
}

TEST_F(Commands, PrepareWithATokenizerJsonDoesNotDependOnThreads) {
  auto options = bytes({scratch_.write("big.txt", words(60000))});
  options.tokenizer = std::string(MOE_SOURCE_DIR) + "/tests/data/tokenizer_json/llama3.json";
  std::vector<std::int32_t> expected = load_tokenizer(options.tokenizer)->encode(words(60000));
  expected.push_back(load_tokenizer(options.tokenizer)->eod_id());
  for (const int threads : {1, 2}) {
    options.threads = threads;
    run(options);
    const TokenShard shard(options.output);
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(shard.tokens()));
    shard.read(0, tokens);
    EXPECT_EQ(tokens, expected) << threads;
  }
  EXPECT_THAT(inspect_report(options.output, false, 1), HasSubstr("line 0 of the text"));
  EXPECT_EQ(verify_shard(options.output).documents, 1);
}

TEST_F(Commands, PrepareHoldsOutDocuments) {
  auto options = bytes({scratch_.write("l.txt", words(1000))});
  options.read.split = DocumentSplit::Lines;
  options.held_out_fraction = 0.1;
  const PrepareResult result = run(options);
  ASSERT_TRUE(result.held_out.has_value());
  EXPECT_EQ(result.train.documents + result.held_out->documents, 1000);
  // Four standard deviations of 1000 draws at a chance of 1/10.
  const double off = static_cast<double>(result.held_out->documents) - 100.0;
  EXPECT_LE(off * off, 4.0 * 4.0 * 1000 * 0.1 * 0.9);
  EXPECT_EQ(TokenShard(held_out_prefix(options.output)).documents(), result.held_out->documents);

  options.read.split = DocumentSplit::None;
  EXPECT_THAT(message_of([&] { run(options); }), HasSubstr("moe-data split"));
}

TEST_F(Commands, PrepareWritesNothingWhenItFails) {
  const std::string good = scratch_.write("good.txt", words(10));
  const std::string bad = scratch_.write("bad.jsonl", "{\"text\": 1}\n");
  const std::string empty = scratch_.write("empty.txt", "");
  run(bytes({good}));
  const auto before = scratch_.files();
  EXPECT_THAT(message_of([&] { run(bytes({good, bad})); }), HasSubstr("bad.jsonl:1"));
  EXPECT_THAT(message_of([&] { run(bytes({empty})); }), HasSubstr("found none"));
  EXPECT_EQ(scratch_.files(), before);
  EXPECT_EQ(verify_shard(scratch_ / "out/shard").documents, 1);
}

TEST_F(Commands, ReportsSayWhatIsThere) {
  const auto options = bytes({scratch_.write("a.txt", "hello\x1b[31m\n")});
  run(options);
  EXPECT_THAT(inspect_report(options.output, false, 5), HasSubstr("hello\\x1b[31m\\n"));
  EXPECT_THAT(inspect_report(options.output, true), HasSubstr("\"vocab_size\": 257"));
  EXPECT_THAT(verify_report(options.output, true), HasSubstr("\"valid\": true"));
  EXPECT_THAT(verify_report(options.output, false), HasSubstr("1 documents, 12 tokens"));
  EXPECT_THAT(message_of([&] { verify_report(options.output, false, 100); }), HasSubstr("byte 0: token"));
}

TEST_F(Commands, TrainTokenizerIsRepeatableAndWritesNothingOnFailure) {
  TrainTokenizerOptions options;
  options.inputs = {scratch_.write("t.txt", words(20000))};
  options.output = scratch_ / "new/a.model";
  options.sample_bytes = 200000;
  options.training.vocab_size = 330;
  const TrainTokenizerResult result = train_tokenizer(options, {.out = &quiet_});
  EXPECT_LT(result.sample_bytes, 300000);
  EXPECT_GT(result.sample_bytes, 150000);
  EXPECT_GT(result.bytes_per_token, 1.5);
  const std::string first = read_file(options.output);
  train_tokenizer(options, {.out = &quiet_});
  EXPECT_EQ(read_file(options.output), first);

  options.output = scratch_ / "none.model";
  options.training.vocab_size = 100000;
  EXPECT_THAT(message_of([&] { train_tokenizer(options, {.out = &quiet_}); }),
              HasSubstr("give more text"));
  EXPECT_FALSE(std::filesystem::exists(options.output));
}

class Splits : public Commands {
 protected:
  SplitOptions options(std::vector<std::string> inputs, std::int64_t min_bytes = 0) {
    return {std::move(inputs), scratch_ / "train.txt", scratch_ / "held.txt", 0.03, min_bytes};
  }
};

TEST_F(Splits, CutsAtALineEndAndLosesNothing) {
  const std::string a = words(1000);
  const std::string b = words(300);
  const SplitResult result = split_text(options({scratch_.write("a", a), scratch_.write("b", b)}));
  const std::string train = read_file(scratch_ / "train.txt");
  const std::string held = read_file(scratch_ / "held.txt");
  EXPECT_EQ(result.train_bytes, static_cast<std::int64_t>(train.size()));
  EXPECT_EQ(train.size() + held.size(), a.size() + b.size());
  EXPECT_EQ(train.back(), '\n');
  EXPECT_TRUE(a.starts_with(train.substr(0, a.size() / 2)));
  EXPECT_TRUE(b.ends_with(held.substr(held.size() - 100)));
  EXPECT_GE(static_cast<double>(held.size()), 0.03 * static_cast<double>(a.size() + b.size()));
  EXPECT_LE(static_cast<double>(held.size()), 0.04 * static_cast<double>(a.size() + b.size()));
}

TEST_F(Splits, ReachesTheSmallestSize) {
  const std::string text = words(1000);
  const auto min = static_cast<std::int64_t>(text.size() / 3);
  EXPECT_GE(split_text(options({scratch_.write("a", text)}, min)).held_out_bytes, min);
  EXPECT_THAT(message_of([&] { split_text(options({(scratch_ / "a").string()}, 10 * min)); }),
              HasSubstr("twice --min-bytes"));
  EXPECT_THAT(message_of([&] { split_text(options({scratch_.write("e", "")})); }), HasSubstr("found 0"));
}

TEST_F(Splits, CutsOneGiantLineBetweenCharacters) {
  std::string text;
  for (int i = 0; i < 1000000; ++i) text += "é東";
  split_text(options({scratch_.write("a", text)}));
  const std::string held = read_file(scratch_ / "held.txt");
  EXPECT_TRUE(held.starts_with("é") || held.starts_with("東"));
  EXPECT_EQ(read_file(scratch_ / "train.txt") + held, text);
}

TEST_F(Splits, KeepsJsonlLinesWhole) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "{\"text\": \"number " + std::to_string(i) + "\"}\n";
  const std::string input = scratch_.write("a.jsonl", text);
  EXPECT_THAT(message_of<ConfigError>([&] { split_text(options({input})); }), HasSubstr("JSONL"));
  SplitOptions jsonl = options({input});
  jsonl.train = scratch_ / "t.jsonl";
  jsonl.held_out = scratch_ / "h.jsonl";
  split_text(jsonl);
  EXPECT_TRUE(read_file(jsonl.held_out).starts_with("{\"text\""));
  EXPECT_EQ(read_file(jsonl.train) + read_file(jsonl.held_out), text);
  EXPECT_THAT(message_of([&] { split_text(options({input, scratch_.write("b.txt", "x")})); }),
              HasSubstr("found both"));
}

}  // namespace
}  // namespace moe::data
