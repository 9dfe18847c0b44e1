#include "config/print.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "config/sample_config.h"

namespace moe::config::testing {
namespace {

TEST(Print, WritesBlockYamlOneKeyALine) {
  SampleRun run;
  run.model.sparse_layers = {0, 2};
  run.model.has_rope_scaling = true;
  run.data.sources = {{"a", 1.0}, {"b c", 0.5}};
  run.checkpoint.resume = "auto";
  EXPECT_EQ(print_yaml(run),
            "name: run\n"
            "output: runs\n"
            "seed: 1\n"
            "model:\n"
            "  hidden_size: 64\n"
            "  num_hidden_layers: 2\n"
            "  num_experts_per_tok: 2\n"
            "  capacity_factor: null\n"
            "  balance_loss: micro_batch\n"
            "  tie_word_embeddings: false\n"
            "  sparse_layers: [0, 2]\n"
            "  rope_scaling:\n"
            "    factor: 8.0\n"
            "    type: llama3\n"
            "data:\n"
            "  source: synthetic\n"
            "  sources:\n"
            "    - prefix: a\n"
            "      weight: 1.0\n"
            "    - prefix: \"b c\"\n"
            "      weight: 0.5\n"
            "  languages: []\n"
            "  phases: [train]\n"
            "training:\n"
            "  steps: null\n"
            "  sequence_length: 128\n"
            "  micro_batch_size: 1\n"
            "  global_batch_size: 4\n"
            "  gradient_clip: 1.0\n"
            "optimizer:\n"
            "  name: adamw\n"
            "  learning_rate: 3.0e-04\n"
            "  beta1: 0.9\n"
            "parallel:\n"
            "  data: auto\n"
            "  expert: 1\n"
            "checkpoint:\n"
            "  resume: \"auto\"\n");
}

TEST(Print, RoundTripsTexts) {
  const std::string texts[] = {"",
                               " ",
                               "a b",
                               "null",
                               "Null",
                               "~",
                               "true",
                               "no",
                               "Y",
                               "on",
                               "010",
                               "1e3",
                               ".5",
                               "-",
                               "- a",
                               "a: b",
                               "a #b",
                               "#",
                               "&a",
                               "*a",
                               "!a",
                               "%a",
                               "@a",
                               "`a",
                               "'",
                               "\"",
                               "\\",
                               "\n",
                               "\t",
                               "a\nb\n",
                               "\r\n",
                               "\x01\x7F",
                               "{}",
                               "[]",
                               "a,b",
                               "?",
                               "<<",
                               "=",
                               "größe",
                               "日本語",
                               "\xC2\x85",
                               "\xE2\x80\xA8",
                               "\xEF\xBB\xBF",
                               "\xF0\x9F\x98\x80",
                               "./a",
                               "../a/b-c_d.bin",
                               "/abs/path",
                               "~/home",
                               "1/2",
                               "inf",
                               ".nan",
                               "0x10",
                               "1_000",
                               "12:30:45",
                               "2001-01-01",
                               "...",
                               "---",
                               std::string(2000, 'x'),
                               std::string(2000, ' ')};
  for (const std::string& text : texts) {
    SampleRun run;
    run.name = text;
    run.checkpoint.resume = text;
    run.data.languages = {text, "x", text};
    run.data.sources = {{text, 1.0}};
    EXPECT_TRUE(decode_text(print_yaml(run)) == run) << print_yaml(run);
  }
}

TEST(Print, RoundTripsNumbersBitForBit) {
  std::mt19937_64 random(7);
  std::vector<double> values{0.0,
                             -0.0,
                             1.0,
                             -1.0,
                             4096.0,
                             1e-4,
                             0.1,
                             1.0 / 3.0,
                             1e22,
                             1e23,
                             1e300,
                             5e-324,
                             2.2250738585072014e-308,
                             123456789012345680.0,
                             std::numeric_limits<double>::max(),
                             std::numeric_limits<double>::min()};
  while (values.size() < 2000) {
    const std::uint64_t bits = random();
    double value = 0.0;
    std::memcpy(&value, &bits, sizeof value);
    if (std::isfinite(value)) values.push_back(value);
  }
  const auto visit = [](double& value) {
    return [&value](Fields& f) { f.number("x", value, ""); };
  };
  for (double value : values) {
    const std::string text = print_yaml(visit(value));
    EXPECT_NE(text.find('.'), std::string::npos) << text << " is no float to a YAML 1.1 reader";
    double back = 7.0;
    decode(Document::parse(text, "printed"), visit(back));
    EXPECT_EQ(std::memcmp(&value, &back, sizeof value), 0) << text;
  }
}

TEST(Print, RoundTripsIntegersAndLists) {
  std::vector<std::int64_t> values{0, -1, 1, std::numeric_limits<std::int64_t>::max(),
                                   std::numeric_limits<std::int64_t>::min()};
  for (std::int64_t i = 0; i < 500; ++i) values.push_back(i * 1234567);
  std::vector<std::int64_t> back;
  const std::string text = print_yaml([&](Fields& f) { f.integers("x", values, ""); });
  decode(Document::parse(text, "printed"), [&](Fields& f) { f.integers("x", back, ""); });
  EXPECT_EQ(back, values);
}

TEST(Print, WritesEmptySectionsAndItems) {
  struct Empty {
    void fields(Fields& f) {
      f.section("nothing", "", [](Fields&) {});
      f.list(
          "items", 2, [](std::size_t) {}, "", [](std::size_t, Fields&) {});
    }
  };
  EXPECT_EQ(print_yaml(Empty()), "nothing: {}\nitems:\n  - {}\n  - {}\n");
  EXPECT_NO_THROW(decode<Empty>(Document::parse(print_yaml(Empty()), "printed")));
  EXPECT_EQ(print_yaml([](Fields&) {}), "{}\n");
}

}  // namespace
}  // namespace moe::config::testing
