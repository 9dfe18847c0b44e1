#include "data/utf8.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace moe::data {
namespace {

unsigned byte_at(std::string_view text, std::size_t at) {
  return static_cast<unsigned char>(text[at]);
}

/// Length that a first byte announces; 0 if it cannot be one.
std::size_t announced(unsigned first) {
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return 2;
  if (first >= 0xE0 && first <= 0xEF) return 3;
  if (first >= 0xF0 && first <= 0xF4) return 4;
  return 0;
}

/// The second byte's range excludes overlong forms, surrogates and codes past U+10FFFF.
bool fits_second(unsigned first, unsigned second) {
  switch (first) {
    case 0xE0: return second >= 0xA0 && second <= 0xBF;
    case 0xED: return second >= 0x80 && second <= 0x9F;
    case 0xF0: return second >= 0x90 && second <= 0xBF;
    case 0xF4: return second >= 0x80 && second <= 0x8F;
    default: return second >= 0x80 && second <= 0xBF;
  }
}

bool continues(std::string_view text, std::size_t at, std::size_t index) {
  const unsigned byte = byte_at(text, at + index);
  return index == 1 ? fits_second(byte_at(text, at), byte) : (byte & 0xC0U) == 0x80U;
}

}  // namespace

Utf8Char utf8_at(std::string_view text, std::size_t at) {
  const unsigned first = byte_at(text, at);
  if (first < 0x80) return {static_cast<char32_t>(first), 1, true};
  const std::size_t size = announced(first);
  if (size == 0 || text.size() - at < size) return {};
  char32_t code = first & (0xFFU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if (!continues(text, at, i)) return {};
    code = (code << 6) | (byte_at(text, at + i) & 0x3FU);
  }
  return {code, size, true};
}

Utf8Char utf8_before(std::string_view text, std::size_t end) {
  for (std::size_t back = 1; back <= std::min<std::size_t>(4, end); ++back) {
    const Utf8Char found = utf8_at(text.substr(0, end), end - back);
    if (found.valid && found.size == back) return found;
  }
  return {};
}

std::size_t utf8_broken_size(std::string_view text, std::size_t at) {
  const std::size_t most = std::min(announced(byte_at(text, at)), text.size() - at);
  std::size_t size = 1;
  while (size < most && continues(text, at, size)) ++size;
  return size;
}

std::size_t utf8_skip_ascii(std::string_view text, std::size_t at) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080U;
  std::uint64_t word = 0;
  for (; text.size() - at >= sizeof(word); at += sizeof(word)) {
    std::memcpy(&word, text.data() + at, sizeof(word));
    if ((word & kHighBits) != 0) break;
  }
  while (at < text.size() && byte_at(text, at) < 0x80) ++at;
  return at;
}

void append_utf8(char32_t code, std::string& text) {
  const auto put = [&](char32_t byte) { text += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6);
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
  }
  if (code >= 0x80) put(0x80 | (code & 0x3F));
}

std::size_t utf8_open_tail(std::string_view text) {
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
    const std::size_t at = text.size() - back;
    if (announced(byte_at(text, at)) <= back) continue;
    bool open = true;
    for (std::size_t i = 1; i < back; ++i) open = open && continues(text, at, i);
    if (open) return back;
  }
  return 0;
}

}  // namespace moe::data
