#include "data/utf8.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace moe::data {
namespace {

std::string encoded(char32_t code) {
  const auto byte = [](char32_t value) {
    return static_cast<char>(static_cast<unsigned char>(value));
  };
  if (code < 0x80) return {byte(code)};
  if (code < 0x800) return {byte(0xC0 | code >> 6), byte(0x80 | (code & 0x3F))};
  if (code < 0x10000) {
    return {byte(0xE0 | code >> 12), byte(0x80 | (code >> 6 & 0x3F)), byte(0x80 | (code & 0x3F))};
  }
  return {byte(0xF0 | code >> 18), byte(0x80 | (code >> 12 & 0x3F)),
          byte(0x80 | (code >> 6 & 0x3F)), byte(0x80 | (code & 0x3F))};
}

TEST(Utf8, EveryCodePointReadsBackAndNoSurrogateDoes) {
  for (char32_t code = 0; code <= 0x10FFFF; ++code) {
    const std::string text = "a" + encoded(code) + "b";
    const Utf8Char forward = utf8_at(text, 1);
    const Utf8Char back = utf8_before(text, text.size() - 1);
    if (code >= 0xD800 && code <= 0xDFFF) {
      ASSERT_FALSE(forward.valid) << static_cast<std::uint32_t>(code);
      ASSERT_EQ(forward.size, 1U);
      continue;
    }
    ASSERT_TRUE(forward.valid) << static_cast<std::uint32_t>(code);
    ASSERT_EQ(forward.code, code);
    ASSERT_EQ(forward.size, text.size() - 2);
    ASSERT_TRUE(back.valid);
    ASSERT_EQ(back.code, code);
    ASSERT_EQ(back.size, text.size() - 2);
  }
}

/// What the first two bytes, followed by two continuations, say by arithmetic alone.
bool valid_by_arithmetic(unsigned first, unsigned second) {
  const std::size_t size = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : 4;
  if (size == 1) return true;
  if (size == 4 && first >> 3 != 30) return false;
  if (second >> 6 != 2) return false;
  const unsigned head = (first & (0x7FU >> size)) << 6 | (second & 0x3FU);
  if (size == 2) return head >= 0x80;
  if (size == 3) return head << 6 >= 0x800 && (head << 6 < 0xD800 || head << 6 > 0xDFFF);
  return head << 12 >= 0x10000 && head << 12 <= 0x10FFFF;
}

TEST(Utf8, EveryFirstAndSecondByteAreJudgedAsArithmeticSays) {
  for (unsigned first = 0; first < 256; ++first) {
    for (unsigned second = 0; second < 256; ++second) {
      const std::string text{static_cast<char>(first), static_cast<char>(second), '\x80', '\x80'};
      EXPECT_EQ(utf8_at(text, 0).valid, valid_by_arithmetic(first, second))
          << first << " " << second;
    }
  }
}

TEST(Utf8, CutCharactersAreNotValidAndStayOpen) {
  for (const char32_t code : {U'\x7F', U'\x80', U'\u07FF', U'\u0800', U'\uD7FF', U'\uE000',
                              U'\uFFFF', U'\U00010000', U'\U0010FFFF'}) {
    const std::string whole = encoded(code);
    EXPECT_EQ(utf8_open_tail("x" + whole), 0U);
    for (std::size_t size = 1; size < whole.size(); ++size) {
      const std::string cut = whole.substr(0, size);
      EXPECT_FALSE(utf8_at(cut, 0).valid);
      EXPECT_FALSE(utf8_before(cut, size).valid);
      EXPECT_EQ(utf8_open_tail("x" + cut), size);
      EXPECT_FALSE(utf8_at(cut + "x", 0).valid) << "a letter is no continuation";
      EXPECT_EQ(utf8_open_tail(cut + "x"), 0U);
    }
  }
}

TEST(Utf8, WhatNothingCompletesIsNotOpen) {
  for (const char* tail : {"", "a", "\x80", "\xC0", "\xC1", "\xF5", "\xFF", "\xED\xA0", "\xE0\x80",
                           "\xF0\x80", "\xF4\x90", "\xE2\x82\xAC\x82"}) {
    EXPECT_EQ(utf8_open_tail(tail), 0U) << std::strlen(tail) << " bytes";
  }
}

}  // namespace
}  // namespace moe::data
