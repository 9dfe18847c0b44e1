/// Input that nobody writes by hand: it must end in a ConfigError or a config, soon.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "config/decode.h"
#include "config/print.h"
#include "config/sample_config.h"

namespace moe::config::testing {
namespace {

using ::testing::HasSubstr;

std::string repeated(std::string_view piece, std::size_t times) {
  std::string text;
  for (std::size_t i = 0; i < times; ++i) text += piece;
  return text;
}

TEST(Hostile, RefusesDepth) {
  for (const char* piece : {"[", "{a: ", "- ", "? ", "- - ", "[{", "{? ", "a: [", "{a: ["}) {
    EXPECT_NE(error_of(repeated(piece, 100000)), "") << piece;
  }
  EXPECT_THAT(error_of("name: " + repeated("[", 100000)), HasSubstr("deeper than 64 levels"));
  EXPECT_THAT(error_of("{}", {"name=" + repeated("[", 100000)}), HasSubstr("every bracket closed"));
  EXPECT_THAT(error_of("{}", {repeated("a.", 100000) + "a=1"}), HasSubstr("deeper than 64 levels"));
}

TEST(Hostile, RefusesAnAliasBombWithoutExpandingIt) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + repeated(last + ", ", 8) +
            last + "]\n";
  }
  const std::string message = error_of(bomb);
  EXPECT_THAT(message, HasSubstr("run.yaml:1:5: a0: anchors are not allowed"));
  EXPECT_THAT(message, HasSubstr("run.yaml:2:10: a1[0]: aliases are not allowed"));
}

TEST(Hostile, RefusesBytesThatAreNoText) {
  EXPECT_THAT(error_of(std::string_view("name: a\0b\n", 10)),
              HasSubstr("1:8: control character 0x00"));
  EXPECT_THAT(error_of(std::string_view("\xFF\xFEn\0a\0", 6)), HasSubstr("not valid UTF-8"));
  EXPECT_THAT(error_of(std::string_view("n\0a\0m\0", 6)), HasSubstr("1:2: control character 0x00"));
  EXPECT_THAT(error_of("\xEF\xBB\xBF"), HasSubstr("there is nothing here"));
  EXPECT_THAT(error_of("name: \xEF\xBB"), HasSubstr("byte 0xef is not valid UTF-8"));
  EXPECT_THAT(error_of(std::string(2 << 20, 'a')),
              HasSubstr("at most 1048576 bytes, found 2097152"));
}

// Quadratic time would take minutes.
TEST(Hostile, StaysFastOnLargeInput) {
  const std::size_t size = std::size_t{1} << 17;
  for (const char* piece :
       {"- ",  "a",   "\"",  "'",       "#",  "\n",    "\t",   ",",     "[],", "? a\n", "a: b\n",
        "*a ", "&a ", "!a ", "{a: b},", ": ", "- a\n", "%a\n", "---\n", "|\n", "a b ",  "\\"}) {
    std::string text = repeated(piece, size / std::string_view(piece).size());
    EXPECT_NE(error_of(text), "") << piece;
    EXPECT_NE(error_of("name: [" + text.substr(0, size)), "") << piece;
  }
}

const char* const kSeeds[] = {
    "name: first run\noutput: /data/runs\nseed: 0\nmodel:\n  hidden_size: 512\n"
    "  capacity_factor: 1.25\n  balance_loss: global\n  sparse_layers: [1, 3, 5]\n"
    "  rope_scaling: {factor: 4, type: linear}\ndata:\n  source: shards\n  sources:\n"
    "    - prefix: a\n      weight: 3\n    - {prefix: 'b c'}\n  languages: [de, \"a\\n\"]\n"
    "training: {steps: 100, gradient_clip: 1e-1}\nparallel:\n  data: auto # all\n",
    "name: |\n  block\n  text\noutput: >-\n  folded\n\n  more\nmodel: {}\n",
    "{\"name\":\"json\",\"model\":{\"hidden_size\":8,\"sparse_layers\":[1,2]}}\n",
};

std::string mutated(std::string text, std::mt19937& random) {
  static const char* const kPieces[] = {
      "&a ",   "*a",   "!!int ", "<<: ",  "- ",           ": ",   "{",        "}",    "[",
      "]",     ",",    "'",      "\"",    "\n",           "\t",   "#",        "%",    "|",
      ">",     "?",    "~",      "null",  "\\",           "\xFF", "\r",       "\xC3", "010",
      "1e999", ".nan", "---\n",  "...\n", "\xEF\xBB\xBF", "  ",   "seed: 1\n"};
  const auto below = [&random](std::size_t n) { return static_cast<std::size_t>(random()) % n; };
  const std::size_t edits = 1 + below(4);
  for (std::size_t i = 0; i < edits && !text.empty(); ++i) {
    const std::size_t at = below(text.size());
    switch (below(5)) {
      case 0:
        text.erase(at, 1 + below(8));
        break;
      case 1:
        text.insert(at, kPieces[below(std::size(kPieces))]);
        break;
      case 2:
        text[at] = static_cast<char>(below(256));
        break;
      case 3:
        text.insert(at, text.substr(below(text.size()), below(40)));
        break;
      default:
        text.resize(at);
        break;
    }
  }
  return text;
}

TEST(Hostile, MutatedConfigsAreReadOrRefused) {
  std::mt19937 random(20240607);
  int good = 0;
  int bad = 0;
  for (int i = 0; i < 3000; ++i) {
    const std::string text =
        mutated(kSeeds[static_cast<std::size_t>(i) % std::size(kSeeds)], random);
    try {
      const SampleRun run = decode_text(text);
      EXPECT_TRUE(decode_text(print_yaml(run)) == run) << text;
      ++good;
    } catch (const ConfigError& error) {
      EXPECT_TRUE(std::string(error.what()).starts_with("run.yaml:")) << error.what();
      ++bad;
    }
  }
  EXPECT_GT(good, 100);
  EXPECT_GT(bad, 100);
}

TEST(Hostile, MutatedOverridesAreReadOrRefused) {
  std::mt19937 random(20240608);
  for (int i = 0; i < 2000; ++i) {
    const std::string assignment =
        mutated("model.rope_scaling={factor: 4, type: 'linear'}", random);
    EXPECT_NO_FATAL_FAILURE(error_of("name: x", {assignment}));
  }
}

}  // namespace
}  // namespace moe::config::testing
