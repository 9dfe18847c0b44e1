#include "config/decode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "config/familiar_names.h"
#include "config/sample_config.h"

namespace moe::config::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(Decode, FillsEveryKindOfField) {
  const SampleRun run = decode_text(
      "name: first run\n"
      "output: /data/runs\n"
      "seed: 0\n"
      "model:\n"
      "  hidden_size: 512\n"
      "  capacity_factor: 1.25\n"
      "  balance_loss: global\n"
      "  tie_word_embeddings: true\n"
      "  sparse_layers: [1, 3, 5]\n"
      "  rope_scaling: {factor: 4, type: linear}\n"
      "data:\n"
      "  source: shards\n"
      "  sources:\n"
      "    - prefix: a\n"
      "      weight: 3\n"
      "    - {prefix: 'b c'}\n"
      "  languages: [de, 'no', \"123\"]\n"
      "  phases: [validation, train]\n"
      "training: {steps: 100, gradient_clip: 1e-1}\n"
      "parallel:\n"
      "  data: 2\n"
      "checkpoint: {resume: runs/x}\n");
  SampleRun expected;
  expected.name = "first run";
  expected.output = "/data/runs";
  expected.seed = 0;
  expected.model.hidden_size = 512;
  expected.model.capacity_factor = 1.25;
  expected.model.balance_loss = "global";
  expected.model.tie_word_embeddings = true;
  expected.model.sparse_layers = {1, 3, 5};
  expected.model.has_rope_scaling = true;
  expected.model.rope_scaling = {4.0, "linear"};
  expected.data.source = "shards";
  expected.data.sources = {{"a", 3.0}, {"b c", 1.0}};
  expected.data.languages = {"de", "no", "123"};
  expected.data.phases = {"validation", "train"};
  expected.training.steps = 100;
  expected.training.gradient_clip = 0.1;
  expected.parallel.data = 2;
  expected.checkpoint.resume = "runs/x";
  EXPECT_TRUE(run == expected);
}

TEST(Decode, KeepsDefaultsOfWhatIsNotSet) {
  EXPECT_TRUE(decode_text("{}") == SampleRun());
  EXPECT_TRUE(decode_text("model: {}\ntraining: {}\n") == SampleRun());
}

TEST(Decode, ReadsAbsentValuesInTheirSpelling) {
  const SampleRun run = decode_text(
      "model: {capacity_factor: ~, rope_scaling: null}\n"
      "training:\n"
      "  steps: null\n"
      "parallel: {data: auto}\n"
      "checkpoint: {resume: auto}\n");
  EXPECT_TRUE(run == SampleRun());
  EXPECT_EQ(decode_text("checkpoint: {resume: 'auto'}").checkpoint.resume, "auto")
      << "quoted: the text, not the word";
}

struct GoodText {
  const char* yaml;
  const char* name;
};

TEST(Decode, TakesTextAsWritten) {
  const GoodText rows[] = {
      {"name: plain", "plain"},
      {"name: 010", "010"},
      {"name: 1e3", "1e3"},
      {"name: yes", "yes"},
      {"name: 'null'", "null"},
      {"name: ''", ""},
      {"name: \"a\\nb\"", "a\nb"},
      {"name: 'it''s'", "it's"},
      {"name: |\n  two\n  lines\n", "two\nlines\n"},
      {"name: a#b", "a#b"},
      {"name: a # comment", "a"},
      {"name: größe", "größe"},
      {"\xEF\xBB\xBFname: bom", "bom"},
      {"name: crlf\r\nseed: 2\r\n", "crlf"},
      {"---\nname: marked\n...\n", "marked"},
      {"{\"name\":\"json\",\"model\":{\"hidden_size\":8}}", "json"},
  };
  for (const GoodText& row : rows) EXPECT_EQ(decode_text(row.yaml).name, row.name) << row.yaml;
}

struct BadRow {
  const char* yaml;
  const char* position;  ///< the message starts with it
  const char* phrase;
};

/// Each row has one mistake.
const BadRow kBadRows[] = {
    // Unknown keys.
    {"modle: {}", "run.yaml:1:1: modle:", "did you mean model?"},
    {"model:\n  hiden_size: 8\n", "run.yaml:2:3: model.hiden_size:", "did you mean hidden_size?"},
    {"model: {Hidden-Size: 8}", "run.yaml:1:9: model.Hidden-Size:", "did you mean hidden_size?"},
    {"optimizer:\n  lr: 1\n", "run.yaml:2:3: optimizer.lr:", "did you mean learning_rate?"},
    {"training:\n  lr: 1\n", "run.yaml:2:3: training.lr:", "did you mean optimizer.learning_rate?"},
    {"learning_rate: 1", "run.yaml:1:1: learning_rate:", "did you mean optimizer.learning_rate?"},
    {"hidden_size: 8", "run.yaml:1:1: hidden_size:", "did you mean model.hidden_size?"},
    {"model: {num_layers: 2}",
     "run.yaml:1:9: model.num_layers:", "did you mean num_hidden_layers?"},
    {"model: {n_layer: 2}", "run.yaml:1:9:", "did you mean num_hidden_layers?"},
    {"model: {d_model: 2}", "run.yaml:1:9:", "did you mean hidden_size?"},
    {"model: {top_k: 2}", "run.yaml:1:9:", "did you mean num_experts_per_tok?"},
    {"training: {seq_length: 2}", "run.yaml:1:12:", "did you mean sequence_length?"},
    {"ep: 2", "run.yaml:1:1: ep:", "did you mean parallel.expert?"},
    {"train: {steps: 2}", "run.yaml:1:1: train:", "did you mean training?"},
    {"model: {zzzzzzzzzzzz: 1}", "run.yaml:1:9:", "allowed hidden_size, num_hidden_layers"},
    {"data:\n  sources:\n  - prefix: a\n    wieght: 1\n",
     "run.yaml:4:5: data.sources[0].wieght:", "did you mean weight?"},
    {"name: x\nseed:3\n", "run.yaml:2:1: seed:3:", "put a space after the colon: 'seed: 3'"},
    {"training: {steps:3}", "run.yaml:1:12:", "put a space after the colon: 'steps: 3'"},
    // Duplicates.
    {"seed: 1\nseed: 1\n", "run.yaml:2:1:", "appears twice; the first is at run.yaml:1:1"},
    {"model:\n  hidden_size: 8\n  'hidden_size': 8\n",
     "run.yaml:3:3: model:", "'hidden_size' appears twice"},
    {"training: {steps: 1, steps: 2}", "run.yaml:1:22: training:", "'steps' appears twice"},
    {"data:\n  sources:\n  - {prefix: a, prefix: b}\n",
     "run.yaml:3:17: data.sources[0]:", "'prefix' appears twice"},
    // What YAML has and configs have not.
    {"seed: &s 1", "run.yaml:1:7: seed:", "anchors are not allowed, got '&s'"},
    {"name: &n x\noutput: *n\n", "run.yaml:1:7: name:", "aliases are not allowed"},
    {"name: *n", "run.yaml:1:7: name:", "quote text that starts with '*'"},
    {"training:\n  <<: {steps: 1}\n", "run.yaml:2:3: training:", "merge keys are not allowed"},
    {"seed: !!int 1", "run.yaml:1:7: seed:", "tags are not allowed, got 'tag:yaml.org,2002:int'"},
    {"seed: ! 1", "run.yaml:1:7: seed:", "tags are not allowed"},
    {"model: !x {hidden_size: 8}", "run.yaml:1:8: model:", "tags are not allowed"},
    {"seed: 1\n---\nseed: 2\n", "run.yaml:2:1:", "second YAML document"},
    {"%YAML 1.2\n---\nseed: 1\n", "run.yaml:1:1:", "directives"},
    {"? [a, b]\n: 1\n", "run.yaml:1:3:", "a key must be a name, got a list or mapping"},
    {"? {a: b}\n: 1\n", "run.yaml:1:3:", "a key must be a name, got a list or mapping"},
    {"~: 1", "run.yaml:1:1:", "a key must be a name, got '~'"},
    {": 1", "run.yaml:1:1:", "a key must be a name, got nothing"},
    {"name: \"a\\0b\"", "run.yaml:1:7: name:", "NUL"},
    // Integers.
    {"seed: 010",
     "run.yaml:1:7: seed:", "expected an integer, got '010'; allowed >= 0; HINT write 10"},
    {"seed: 4096.0", "run.yaml:1:7: seed:", "HINT write 4096"},
    {"seed: 1e3", "run.yaml:1:7: seed:", "HINT write 1000"},
    {"seed: 1_000", "run.yaml:1:7: seed:", "HINT write 1000"},
    {"seed: +5", "run.yaml:1:7: seed:", "HINT write 5"},
    {"seed: 0x10", "run.yaml:1:7: seed:", "HINT write it in decimal"},
    {"seed: 10k", "run.yaml:1:7: seed:", "HINT write out all digits"},
    {"seed: 1.5", "run.yaml:1:7: seed:", "expected an integer, got '1.5'"},
    {"seed: '5'", "run.yaml:1:7: seed:", "HINT remove the quotes"},
    {"seed: five", "run.yaml:1:7: seed:", "expected an integer, got 'five'"},
    {"seed: true", "run.yaml:1:7: seed:", "expected an integer, got 'true'"},
    {"seed: null", "run.yaml:1:7: seed:", "HINT remove the line to keep the default"},
    {"seed:\nname: x\n", "run.yaml:1:1: seed:", "expected an integer, got nothing"},
    {"seed: [1]", "run.yaml:1:7: seed:", "expected an integer, got a list"},
    {"seed:\n  a: 1\n", "run.yaml:2:3: seed:", "expected an integer, got a mapping"},
    {"seed: -1", "run.yaml:1:7: seed:", "out of range, got '-1'; allowed >= 0"},
    {"model: {hidden_size: 65537}",
     "run.yaml:1:22:", "out of range, got '65537'; allowed 1 to 65536"},
    {"seed: 9223372036854775808", "run.yaml:1:7: seed:", "does not fit in 64 bits"},
    {"parallel: {data: null}", "run.yaml:1:18: parallel.data:", "allowed >= 1, or auto"},
    {"parallel: {data: Auto}", "run.yaml:1:18: parallel.data:", "allowed >= 1, or auto"},
    {"training: {steps: NULL}", "run.yaml:1:19: training.steps:", "allowed >= 1, or null"},
    {"training: {steps: 0}", "run.yaml:1:19: training.steps:", "out of range"},
    // Numbers.
    {"optimizer: {learning_rate: .nan}", "run.yaml:1:28: optimizer.learning_rate:", "finite"},
    {"optimizer: {learning_rate: -.inf}", "run.yaml:1:28:", "finite"},
    {"optimizer: {learning_rate: inf}", "run.yaml:1:28:", "finite"},
    {"optimizer: {learning_rate: 1e999}", "run.yaml:1:28:", "outside the range of a double"},
    {"optimizer: {learning_rate: 0}", "run.yaml:1:28:", "out of range, got '0'; allowed > 0"},
    {"optimizer: {beta1: 1.0}", "run.yaml:1:20:", "allowed >= 0 and < 1"},
    {"optimizer: {beta1: .9}", "run.yaml:1:20:", "HINT write 0.9"},
    {"optimizer: {beta1: 00.9}", "run.yaml:1:20:", "HINT write 0.9"},
    {"optimizer:\n  beta1: 0,9\n", "run.yaml:2:10:", "HINT write it without commas"},
    {"optimizer: {beta1: '0.9'}", "run.yaml:1:20:", "HINT remove the quotes"},
    {"optimizer: {beta1: 0x1p3}", "run.yaml:1:20:", "HINT write it in decimal"},
    {"optimizer: {beta1: 1e}", "run.yaml:1:20:", "expected a number, got '1e'"},
    {"model: {capacity_factor: none}", "run.yaml:1:26:", "allowed > 0, or null"},
    // Booleans, texts, choices.
    {"model: {tie_word_embeddings: yes}", "run.yaml:1:30:", "HINT write true"},
    {"model: {tie_word_embeddings: Off}", "run.yaml:1:30:", "HINT write false"},
    {"model: {tie_word_embeddings: 1}", "run.yaml:1:30:", "HINT write true"},
    {"model: {tie_word_embeddings: 'true'}", "run.yaml:1:30:", "HINT remove the quotes"},
    {"name: null", "run.yaml:1:7: name:", "quote it"},
    {"name:", "run.yaml:1:1: name:", "expected text, got nothing"},
    {"name: [a]", "run.yaml:1:7: name:", "expected text, got a list"},
    {"model: {balance_loss: globl}", "run.yaml:1:23:", "did you mean global?"},
    {"model: {balance_loss: Global}",
     "run.yaml:1:23:", "allowed micro_batch, sequence, global, none; HINT did you mean global?"},
    {"model: {balance_loss: [global]}", "run.yaml:1:23:", "got a list"},
    {"data: {phases: [train, test]}",
     "run.yaml:1:24: data.phases[1]:", "allowed train, validation"},
    // Lists and sections.
    {"model: {sparse_layers: 3}", "run.yaml:1:24:", "HINT put it in brackets"},
    {"model: {sparse_layers: [1, 2.0]}", "run.yaml:1:28: model.sparse_layers[1]:", "HINT write 2"},
    {"model: {sparse_layers: [1,,2]}", "run.yaml:1:27: model.sparse_layers[1]:", "got nothing"},
    {"model: {sparse_layers: [-1]}", "run.yaml:1:25: model.sparse_layers[0]:", "out of range"},
    {"data: {languages: de}", "run.yaml:1:19: data.languages:", "HINT put it in brackets"},
    {"data: {sources: {prefix: a}}", "run.yaml:1:17: data.sources:", "expected a list of mappings"},
    {"data: {sources: [a]}", "run.yaml:1:18: data.sources[0]:", "expected a mapping, got 'a'"},
    {"model: 3", "run.yaml:1:8: model:", "expected a section, got '3'"},
    {"model:\nname: x\n", "run.yaml:1:1: model:", "write {} for all defaults"},
    {"model: [1]", "run.yaml:1:8: model:", "expected a section, got a list"},
    {"model: {rope_scaling: 3}", "run.yaml:1:23:", "expected a section or null"},
    // Relations between fields.
    {"training:\n  global_batch_size: 5\n  micro_batch_size: 2\n",
     "run.yaml:2:22: training.global_batch_size:",
     "must be a multiple of micro_batch_size, got '5'"},
    {"training:\n  micro_batch_size: 3\n",
     "run.yaml:2:3: training.global_batch_size:", "it is not set here"},
    // Syntax.
    {"", "run.yaml:1:1:", "there is nothing here"},
    {"# only a comment\n", "run.yaml:1:1:", "there is nothing here"},
    {"- a\n", "run.yaml:1:1:", "expected sections and keys"},
    {"steps:100", "run.yaml:1:1:", "put a space after each colon"},
    {"a: b: c\n", "run.yaml:1:5:", "not valid YAML"},
    {"model:\n\thidden_size: 8\n", "run.yaml:2:", "indent with spaces"},
    {"model:\n  hidden_size: 8\n num_hidden_layers: 2\n", "run.yaml:3:2:",
     "does not continue what stands above, got 'num_hidden_layers: 2'; HINT keys of one section"},
    {"model: {hidden_size: 8\nseed: 1\n",
     "run.yaml:1:8: model:", "the bracket opened here is never closed"},
    {"model:\n  sparse_layers: [1, 2\n", "run.yaml:2:18: model.sparse_layers:", "never closed"},
    {"name: foo: bar\n",
     "run.yaml:1:10:", "got 'name: foo: bar'; HINT quote text that contains ': '"},
    {"name: \"open\n", "run.yaml:1:7: name:", "the quote opened here is never closed"},
    {"name: 'open''\n", "run.yaml:1:7: name:", "the quote opened here is never closed"},
    {"name: \"x\" y\n", "run.yaml:1:11:", "not valid YAML"},
    {"name: @x\n", "run.yaml:1:7:", "quote text that starts with '@'"},
    {"name: a\rb\n", "run.yaml:1:8:", "control character 0x0d"},
    {"name: größe \x01\n", "run.yaml:1:13:", "control character 0x01"},
    {"name: \xFF\n", "run.yaml:1:7:", "byte 0xff is not valid UTF-8"},
    {"name: \xC0\xAF\n", "run.yaml:1:7:", "byte 0xc0 is not valid UTF-8"},
    {"name: \xED\xA0\x80\n", "run.yaml:1:7:", "byte 0xed is not valid UTF-8"},
    {"größe: 1\n", "run.yaml:1:1: größe:", "unknown key"},
    {"name: ö\noutput: ü # x\nzzzzzzzz: ö\n", "run.yaml:3:1: zzzzzzzz:", "unknown key"},
};

TEST(Decode, ExplainsEveryMistakeWithItsPosition) {
  for (const BadRow& row : kBadRows) {
    const std::string message = error_of(row.yaml);
    EXPECT_THAT(message, StartsWith(row.position)) << row.yaml;
    EXPECT_THAT(message, HasSubstr(row.phrase)) << row.yaml;
  }
}

TEST(Decode, SaysOneThingAboutOneMistake) {
  for (const BadRow& row : kBadRows) {
    if (std::string(row.yaml).starts_with("name: &n")) continue;  // an anchor and an alias
    EXPECT_THAT(error_of(row.yaml), Not(HasSubstr("\n"))) << row.yaml;
  }
}

TEST(Decode, ReportsAllErrorsAtOnceInReadingOrder) {
  const std::string message = error_of(
      "seed: 010\n"
      "model:\n"
      "  hidden_size: 0\n"
      "  hidden_size: 8\n"
      "  top_k: 2\n"
      "training: {steps: &s 5, lr: 1}\n"
      "data:\n"
      "  sources:\n"
      "    - {prefix: a, weight: 0}\n"
      "    - {prefix: null}\n"
      "optimizer: {name: adam, learning_rate: .nan}\n",
      {"parallel.expert=0", "chekpoint.resume=x"});
  const char* lines[] = {
      "run.yaml:1:7: seed:",
      "run.yaml:3:16: model.hidden_size: out of range",
      "run.yaml:4:3: model: 'hidden_size' appears twice",
      "run.yaml:5:3: model.top_k:",
      "run.yaml:6:19: training.steps: anchors",
      "run.yaml:6:25: training.lr:",
      "run.yaml:9:27: data.sources[0].weight:",
      "run.yaml:10:16: data.sources[1].prefix:",
      "run.yaml:11:19: optimizer.name:",
      "run.yaml:11:40: optimizer.learning_rate:",
      "command line: parallel.expert=0: parallel.expert: out of range",
      "command line: chekpoint.resume=x: chekpoint: unknown key",
      "12 problems in the config",
  };
  std::size_t at = 0;
  for (const char* line : lines) {
    const std::size_t found = message.find(line, at);
    ASSERT_NE(found, std::string::npos) << line << "\nis not next in\n" << message;
    at = found;
  }
}

TEST(Decode, DoesNotRejectARelationWithAKeyThatHasNoValue) {
  const std::string message = error_of("training: {global_batch_size: 5, micro_batch_size: two}");
  EXPECT_THAT(message, HasSubstr("micro_batch_size: expected an integer"));
  EXPECT_THAT(message, Not(HasSubstr("multiple")));
}

TEST(Decode, DoesNotRejectARelationWithAKeyOfAnotherSectionThatHasNoValue) {
  const auto relation = [](Fields& f) {
    double learning_rate = 1.0;
    f.section("optimizer", "", [&](Fields& g) { g.number("learning_rate", learning_rate, ""); });
    f.section("schedule", "", [&](Fields& g) {
      double least = 2.0;
      g.number("least", least, "");
      if (least > learning_rate) g.reject("least", "exceeds optimizer.learning_rate");
    });
  };
  const auto message = [&](const char* text) -> std::string {
    try {
      decode(Document::parse(text, "x.yaml"), relation);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(message("optimizer: {learning_rate: 1}"), HasSubstr("schedule.least: exceeds"));
  EXPECT_THAT(message("optimizer: {learning_rate: x}"), Not(HasSubstr("exceeds")));
}

/// Names of one word are looked for in their own section only: they are too common elsewhere.
TEST(Decode, DoesNotRejectARelationWithAShortKeyOfThisSectionThatHasNoValue) {
  const auto relation = [](Fields& f) {
    f.section("range", "", [](Fields& g) {
      std::int64_t least = 0;
      std::int64_t most = 0;
      g.integer("least", least, "");
      g.integer("most", most, "");
      if (most < least) g.reject("most", "must not be below least");
    });
  };
  const auto message = [&](const char* text) -> std::string {
    try {
      decode(Document::parse(text, "x.yaml"), relation);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(message("range: {least: 5, most: -5}"), HasSubstr("range.most: must not be below"));
  EXPECT_THAT(message("range: {least: many, most: -5}"), Not(HasSubstr("must not be below")));
}

TEST(Decode, LeavesTheValueOfAListAloneWhenAnItemIsBad) {
  Data data;
  data.languages = {"kept"};
  const Document document = Document::parse("languages: [a, [b]]", "x.yaml");
  EXPECT_THROW(decode(document, [&data](Fields& f) { data.fields(f); }), ConfigError);
  EXPECT_EQ(data.languages, std::vector<std::string>{"kept"});
}

TEST(Decode, CountsWhatItDoesNotList) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "unknown_" + std::to_string(i) + ": 1\n";
  const std::string message = error_of(text);
  EXPECT_THAT(message, HasSubstr("... and 800 more\n1000 problems in the config"));
}

TEST(Decode, SectionsMayBeDescribedInParts) {
  std::int64_t a = 0;
  std::int64_t b = 0;
  decode(Document::parse("s: {a: 1, b: 2}", "x.yaml"), [&](Fields& f) {
    f.section("s", "", [&a](Fields& g) { g.integer("a", a, ""); });
    f.section("s", "", [&b](Fields& g) { g.integer("b", b, ""); });
  });
  EXPECT_EQ(a, 1);
  EXPECT_EQ(b, 2);
}

TEST(FamiliarNames, AreUniqueAndNormalised) {
  std::set<std::string_view> seen;
  for (const FamiliarName& name : familiar_names()) {
    EXPECT_TRUE(seen.insert(name.foreign).second) << name.foreign << " appears twice";
    EXPECT_EQ(name.foreign.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_"),
              std::string_view::npos)
        << name.foreign;
  }
}

}  // namespace
}  // namespace moe::config::testing
