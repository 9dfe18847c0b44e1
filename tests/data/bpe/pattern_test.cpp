#include "data/bpe/pattern.h"

#include <gmock/gmock.h>

#include "data/bpe/pattern_syntax.h"
#include "data/support.h"

namespace moe::data::bpe {
namespace {

using testing::message_of;
using ::testing::HasSubstr;

/// The matches that are not empty, joined by "|"; what lies between them is left out.
std::string matches(const char* regex, std::string_view text) {
  const Pattern pattern = Pattern::regex(regex, "test");
  Pattern::Scratch scratch;
  std::string all;
  for (std::size_t at = 0; at <= text.size();) {
    const auto match = pattern.find(text, at, scratch);
    if (!match) break;
    if (match->begin < match->end) all += (all.empty() ? "" : "|") + std::string(text.substr(match->begin, match->end - match->begin));
    at = match->end > match->begin ? match->end : match->end + 1;
  }
  return all;
}

// The right sides are what Oniguruma finds, through PyPI's `tokenizers`.
TEST(Pattern, MeansWhatOnigurumaMeans) {
  struct Row {
    const char* regex;
    const char* text;
    const char* found;
  };
  const Row rows[] = {
      {"a+", "aa b a", "aa|a"},
      {"\\p{N}{1,3}+", "12345678 1", "12345678|1"},    // repeats, is not possessive
      {"a{,2}", "aaaaa", "aa|aa|a"},
      {"a{2}?", "aaaa", "aa|aa"},
      {"x{", "x{", "x{"},
      {"\\h+", "zabcg", "abc"},
      {"\\H+", "zabcg", "z|g"},
      {"\\w+", "a_é٣\u0301 ²", "a_é٣\u0301"},
      {"\\W+", "a ² b", " ² "},
      {"\\bfoo\\b", "foo a_foo foo", "foo|foo"},
      {"o\\B", "foo o", "o"},
      {"\\v", "a\vb\n", "\v"},
      {"^a", "a\na\nba", "a|a"},
      {"\\s+$", "a \nb  ", " |  "},
      {"(?m:.)+", "a\nb", "a\nb"},
      {".+", "a\nb", "a|b"},
      {"(?i:'s|'t)", "'S 'ſ 't", "'S|'ſ|'t"},
      {"(?i)AB", "ab Ab", "ab|Ab"},
      {"[a[^b]]+", "aabbcc", "aa|cc"},
      {"[^(\\s|[.,!])]+", "hi there, (you|me).", "hi|there|you|me"},
      {"[\\p{L}&&[^a-m]]+", "amznop", "znop"},
      {"[^a-z&&[^m]]", "am1", "m|1"},
      {"[[:upper:]]+", "ABⅧc", "ABⅧ"},
      {"[[:punct:]]+", "a!?+$b", "!?+$"},
      {"[[:^alpha:]]+", "a1 b", "1 "},
      {"[\\W&&\\S]+", "a +b", "+"},
      {"\\p{Han}+", "汉字、かな", "汉字"},               // not U+3001, though it is used with Han
      {"\\p{^L}+", "a1 b", "1 "},
      {"\\P{Letter}+", "a1 b", "1 "},
      {"[\\u4e00-\\u9fa5]+", "a汉b", "汉"},
      {"\\x41\\x{1F600}", "A😀", "A😀"},
      {"(?#note)(a)(?=b)(?<!c)", "ab", "a"},
      {"é+", "ééé", "ééé"},
      {"\\é{2}", "ééé", "éé"},
      {"a++", "aaa", "aaa"},
      {"[]a]", "", nullptr},
      {"(?<name>a)", "", nullptr},
      {"(a)\\1", "", nullptr},
      {"a(?i)b", "", nullptr},
      {"(a", "", nullptr},
      {"a)", "", nullptr},
      {"[a", "", nullptr},
      {"[[:nope:]]", "", nullptr},
      {"*a", "", nullptr},
      {"\\", "", nullptr},
      {"\\q", "", nullptr},
      {"\\p{", "", nullptr},
      {"\\p{Nope}", "", nullptr},
      {"\\xff", "", nullptr},
      {"(?<=a*)b", "", nullptr},
  };
  for (const Row& row : rows) {
    if (row.found != nullptr) {
      EXPECT_EQ(matches(row.regex, row.text), row.found) << row.regex << " as " << to_pcre2(row.regex, "");
    } else {
      EXPECT_THAT(message_of([&] { Pattern::regex(row.regex, "file: key"); }), HasSubstr("file: key")) << row.regex;
    }
  }
}

TEST(Pattern, LiteralsMeanThemselves) {
  const Pattern pattern = Pattern::literal("a.b", "test");
  Pattern::Scratch scratch;
  EXPECT_EQ(pattern.find("axb a.b", 0, scratch)->begin, 4U);
  EXPECT_FALSE(pattern.find("axb", 0, scratch).has_value());
}

TEST(Pattern, LongRunsDoNotExhaustTheStack) {
  const Pattern pattern = Pattern::regex("(?:a|b(?=[ab]*))+|\\s+(?!\\S)", "test");
  Pattern::Scratch scratch;
  const auto found = pattern.find(std::string(50'000, 'a'), 0, scratch);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->end, 50'000U);
}

}  // namespace
}  // namespace moe::data::bpe
