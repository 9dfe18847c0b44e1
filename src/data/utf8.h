/// Strict UTF-8, one character at a time.
#pragma once

#include <cstddef>
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

/// How many bytes at the end (0 to 3) begin a character that more bytes could complete.
std::size_t utf8_open_tail(std::string_view text);

}  // namespace moe::data
