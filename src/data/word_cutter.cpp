#include "data/word_cutter.h"

#include <algorithm>

#include "data/utf8.h"

namespace moe::data {
namespace {

std::uint64_t pack(char32_t left, char32_t right) {
  return (static_cast<std::uint64_t>(left) << 32) | right;
}

/// How far `safe_cut` looks back before it walks all the text.
constexpr std::size_t kLookBack = 4096;

}  // namespace

WordCutter::WordCutter(std::span<const std::string> pieces) {
  for (const std::string& piece : pieces) {
    char32_t before = 0;
    for (std::size_t at = 0; at < piece.size();) {
      const Utf8Char found = utf8_at(piece, at);
      const char32_t code = found.code == kSpaceMark ? U' ' : found.code;
      if (at > 0 && before < kAscii && code < kAscii) {
        ascii_pairs_.set(before * kAscii + code);
      } else if (at > 0) {
        other_pairs_.insert(pack(before, code));
      }
      before = code;
      at += found.size;
    }
  }
}

bool WordCutter::may_join(char32_t left, char32_t right) const {
  if (left < kAscii && right < kAscii) return ascii_pairs_.test(left * kAscii + right);
  return other_pairs_.contains(pack(left, right));
}

WordCutter::Word WordCutter::next(std::string_view text, std::size_t at) const {
  Utf8Char last = utf8_at(text, at);
  if (!last.valid || last.code == kSpaceMark) return {last.size, true};
  std::size_t end = at + last.size;
  while (end < text.size()) {
    const Utf8Char following = utf8_at(text, end);
    if (!following.valid || following.code == kSpaceMark) break;
    if (!may_join(last.code, following.code)) break;
    if (end + following.size - at > kLongestWord) break;
    end += following.size;
    last = following;
  }
  return {end - at, false};
}

bool WordCutter::cuts_before_ascii(std::string_view text, std::size_t at) const {
  const auto right = static_cast<unsigned char>(text[at]);
  if (right >= kAscii) return false;
  const Utf8Char left = utf8_before(text, at);
  return !left.valid || left.code == kSpaceMark || !may_join(left.code, right);
}

std::size_t WordCutter::safe_cut(std::string_view text) const {
  // An ASCII byte ends whatever character came before it, so the look back needs no context.
  const std::size_t stop = text.size() - std::min(text.size(), kLookBack);
  for (std::size_t at = text.size(); at-- > std::max<std::size_t>(stop, 1);) {
    if (cuts_before_ascii(text, at)) return at;
  }
  const std::string_view whole = text.substr(0, text.size() - utf8_open_tail(text));
  std::size_t begin = 0;
  for (std::size_t at = 0; at < whole.size();) {
    begin = at;
    at += next(whole, at).size;
  }
  return begin;
}

}  // namespace moe::data
