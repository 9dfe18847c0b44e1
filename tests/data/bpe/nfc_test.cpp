#include "data/bpe/nfc.h"

#include <gtest/gtest.h>

namespace moe::data::bpe {
namespace {

TEST(Nfc, JoinsAndSorts) {
  const Nfc nfc;
  const std::pair<const char*, const char*> rows[] = {
      {"", ""},
      {"plain", "plain"},
      {"e\u0301", "é"},
      {"é", "é"},
      {"\u0301e", "\u0301e"},
      {"q\u0307\u0323", "q\u0323\u0307"},         // sorted
      {"\u1e9b\u0323", "\u1e9b\u0323"},
      {"s\u0323\u0307", "\u1e69"},
      {"\u1100\u1161\u11a8", "\uac01"},           // Hangul
      {"\uac00\u11a8", "\uac01"},
      {"\u2126 \u212b", "Ω Å"},                   // singletons
      {"\u0344", "\u0308\u0301"},                 // excluded from joining
      {"\u0958", "\u0915\u093c"},
      {"\u0b47\u0b3e", "\u0b4b"},                 // joins a mark of class 0
      {"\U0001d15f", "\U0001d158\U0001d165"},
      {"\u0d3b\u08db", "\u0d3b\u08db"},           // younger than the library's tables
      {"\U00011935\U00011930", "\U00011935\U00011930"},
      {"e\xff\u0301", "e\xff\u0301"},             // nothing joins across broken bytes
      {"\xe2\x96", "\xe2\x96"},
      {"xe\u0301y e\u0301", "xéy é"},
  };
  for (const auto& [text, normal] : rows) {
    EXPECT_EQ(nfc.normal_form(text), normal) << text;
    EXPECT_EQ(nfc.normal_form(normal), normal) << text;
    if (std::string(text) != normal) {
      EXPECT_FALSE(nfc.is_normal(text)) << text;
    }
  }
  EXPECT_TRUE(nfc.is_normal("汉字 ASCII é 🙂 \xff"));
}

TEST(Nfc, TakesEndlessMarksInLinearTime) {
  const Nfc nfc;
  std::string text = "a";
  for (int i = 0; i < 300'000; ++i) text += i % 2 == 0 ? "\u0301" : "\u0323";
  EXPECT_EQ(nfc.normal_form(text).substr(0, 3), "\u1ea1");
}

}  // namespace
}  // namespace moe::data::bpe
