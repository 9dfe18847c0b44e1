#include "data/bpe/cut_places.h"

#include <gtest/gtest.h>

namespace moe::data::bpe {
namespace {

constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

PreTokenizer::Steps steps(std::initializer_list<std::string_view> regexes, bool prefix_space = false) {
  PreTokenizer::Steps made;
  for (const std::string_view regex : regexes) {
    made.splits.push_back(
        {Pattern::regex(regex, "test"), SplitBehavior::Isolated, false, cut_facts_of(regex)});
  }
  made.prefix_space = prefix_space;
  return made;
}

std::size_t last(const PreTokenizer::Steps& made, std::string_view text, std::vector<AddedToken> added = {}) {
  return CutPlaces(made, added).last(text);
}

TEST(CutPlaces, AreWherePatternsAlwaysCut) {
  const auto gpt2 = [](std::string_view text) { return last(steps({byte_level_pattern()}), text); };
  const auto llama = [](std::string_view text) { return last(steps({kLlama3}), text); };
  EXPECT_EQ(gpt2("one two three"), 7U);
  EXPECT_EQ(gpt2("one two  "), 7U);
  EXPECT_EQ(gpt2("one  "), 3U);
  EXPECT_EQ(gpt2(" one"), 0U);
  EXPECT_EQ(gpt2(""), 0U);
  EXPECT_EQ(gpt2("one\ntwo"), 3U);
  EXPECT_EQ(gpt2("汉字。\n汉字"), 9U);
  EXPECT_EQ(gpt2("a\u3000 b"), 0U);  // white space before the space
  EXPECT_EQ(llama("汉字。\n汉字"), 10U);
  EXPECT_EQ(llama("one\ntwo"), 4U);
  EXPECT_EQ(llama("one\n\n"), 0U);
  EXPECT_EQ(llama("one\n/"), 0U);
  EXPECT_EQ(llama("one\n\xe6\xb1"), 0U);  // half a character
  EXPECT_EQ(llama("a\xff b"), 2U);
}

TEST(CutPlaces, DependOnAllSteps) {
  EXPECT_EQ(last(steps({"\\p{N}{1,3}", kLlama3}), "one two"), 3U);
  EXPECT_EQ(last(steps({kLlama3, "anything"}), "one two"), 3U);
  EXPECT_EQ(last(steps({"anything", kLlama3}), "one two"), 0U);
  EXPECT_EQ(last(steps({}), "one two"), 0U);
  EXPECT_EQ(last(steps({kLlama3}, true), "one\ntwo"), 0U);  // "two" alone would get a space
  EXPECT_EQ(last(steps({byte_level_pattern()}, true), "one\ntwo"), 0U);
  EXPECT_EQ(last(steps({byte_level_pattern()}, true), "one two"), 3U);
}

TEST(CutPlaces, RespectAddedTokens) {
  const auto with = [](AddedToken token, std::string_view text) { return last(steps({kLlama3}), text, {token}); };
  EXPECT_EQ(with({.content = "<x>"}, "one two"), 3U);
  EXPECT_EQ(with({.content = "   "}, "one two"), 3U);
  EXPECT_EQ(with({.content = "one two"}, "one two"), 0U);
  EXPECT_EQ(with({.content = "a\nb"}, "one\ntwo"), 0U);
  EXPECT_EQ(with({.content = "<x>", .rstrip = true}, "one two"), 0U);
  EXPECT_EQ(with({.content = "<x>", .lstrip = true}, "one\ntwo"), 0U);
  EXPECT_EQ(with({.content = "<x>", .lstrip = true}, "one two"), 3U);
  EXPECT_EQ(with({.content = " x", .single_word = true}, "one two"), 0U);
  EXPECT_EQ(with({.content = "x\n", .single_word = true}, "one\ntwo"), 0U);
}

}  // namespace
}  // namespace moe::data::bpe
