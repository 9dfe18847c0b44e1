/// Strict UTF-8, one character at a time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace moe::data {

struct Utf8Char {
  char32_t code = 0;     ///< meaningless when not valid
  std::size_t size = 1;  ///< bytes; 1 when not valid
  bool valid = false;
};

/// The character at `at` < text.size(); surrogates, overlong forms and cut sequences are not valid.
Utf8Char utf8_at(std::string_view text, std::size_t at);

/// The character that ends just before `end`, 1 <= end <= text.size().
Utf8Char utf8_before(std::string_view text, std::size_t end);

/// How many bytes at `at` < text.size(), where no character is, make one broken character: the longest
/// beginning of a character, or 1, as Unicode recommends and Python's errors="replace" counts.
std::size_t utf8_broken_size(std::string_view text, std::size_t at);

/// The first place at or after `at` where a byte is not ASCII, or the end.
std::size_t utf8_skip_ascii(std::string_view text, std::size_t at);

/// Appends the UTF-8 of `code`, which is a Unicode scalar value.
void append_utf8(char32_t code, std::string& text);

/// How many bytes at the end (0 to 3) begin a character that more bytes could complete.
std::size_t utf8_open_tail(std::string_view text);

}  // namespace moe::data
