#include "data/bpe/nfc.h"

#include <utf8proc.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

#include "data/utf8.h"

namespace moe::data::bpe {
namespace {

constexpr utf8proc_int32_t kCodes = 0x110000;
/// Sorting marks takes quadratic time: longer runs of them than any writing has are taken in parts.
constexpr std::size_t kLongestRun = 4096;
constexpr auto kDecompose = static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE);

/// Marks that the `tokenizers` library, whose tables are of Unicode 9, does not know as such: it moves and
/// joins none of them. (What differs between it and utf8proc over all characters, alone and beside marks.)
// clang-format off
constexpr std::array<std::pair<char32_t, char32_t>, 38> kInert{{
    {0x7FD, 0x7FD}, {0x898, 0x89F}, {0x8CA, 0x8D3}, {0x9FE, 0x9FE},
    {0xC3C, 0xC3C}, {0xD3B, 0xD3C}, {0xEBA, 0xEBA}, {0x1715, 0x1715},
    {0x1ABF, 0x1ACE}, {0x1DF6, 0x1DFA}, {0xA82C, 0xA82C}, {0x10D24, 0x10D27},
    {0x10EAB, 0x10EAC}, {0x10EFD, 0x10EFF}, {0x10F46, 0x10F50}, {0x10F82, 0x10F85},
    {0x11070, 0x11070}, {0x1133B, 0x1133B}, {0x1145E, 0x1145E}, {0x11839, 0x1183A},
    {0x11930, 0x11930}, {0x11938, 0x11938}, {0x1193D, 0x1193E}, {0x11943, 0x11943},
    {0x119E0, 0x119E0}, {0x11A34, 0x11A34}, {0x11A47, 0x11A47}, {0x11A99, 0x11A99},
    {0x11D42, 0x11D42}, {0x11D44, 0x11D45}, {0x11D97, 0x11D97}, {0x11F41, 0x11F42},
    {0x16FF0, 0x16FF1}, {0x1E08F, 0x1E08F}, {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE},
    {0x1E2EC, 0x1E2EF}, {0x1E4EC, 0x1E4EF},
}};
// clang-format on

/// The canonical decomposition of one character, or the character.
std::u32string decomposition_of(utf8proc_int32_t code) {
  std::array<utf8proc_int32_t, 8> buffer{};
  int boundary = 0;
  const auto count = utf8proc_decompose_char(code, buffer.data(), buffer.size(), kDecompose, &boundary);
  if (count <= 0 || count > static_cast<utf8proc_ssize_t>(buffer.size())) {
    return {static_cast<char32_t>(code)};
  }
  return {buffer.begin(), buffer.begin() + count};
}

/// The normal form of a text that starts and ends where nothing can be joined.
void append_mapped(std::string_view text, std::string& normal) {
  utf8proc_uint8_t* mapped = nullptr;
  const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                 static_cast<utf8proc_ssize_t>(text.size()), &mapped,
                                 static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  if (size < 0) throw std::bad_alloc();  // nothing else can go wrong on valid text
  normal.append(reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(size));
}

}  // namespace

Nfc::Nfc() : flags_(kCodes, false), inert_(kCodes, false) {
  for (utf8proc_int32_t code = 0; code < kCodes; ++code) {
    const utf8proc_property_t* property = utf8proc_get_property(code);
    if (property->combining_class != 0) flags_[static_cast<std::size_t>(code)] = true;
    const std::u32string parts = decomposition_of(code);
    // What follows the first part can be joined to a character before it. Hangul is made of such parts.
    for (std::size_t i = 1; i < parts.size(); ++i) flags_[parts[i]] = true;
    if (parts.size() == 1 && parts[0] == static_cast<char32_t>(code)) continue;
    std::string text;
    std::string normal;
    if (code >= 0xD800 && code < 0xE000) continue;
    append_utf8(static_cast<char32_t>(code), text);
    append_mapped(text, normal);
    if (normal != text) flags_[static_cast<std::size_t>(code)] = true;
  }
  for (const auto& [first, last] : kInert) {
    for (char32_t code = first; code <= last; ++code) {
      flags_[code] = false;
      inert_[code] = true;
    }
  }
}

bool Nfc::is_normal(std::string_view text) const {
  for (std::size_t at = utf8_skip_ascii(text, 0); at < text.size();) {
    const Utf8Char found = utf8_at(text, at);
    if (found.valid && may_change(found.code)) return false;
    at = utf8_skip_ascii(text, at + found.size);
  }
  return true;
}

std::string Nfc::normal_form(std::string_view text) const {
  std::string normal;
  std::size_t done = 0;   // of the text, already in `normal`
  std::size_t start = 0;  // the last character that changes nothing before it
  for (std::size_t at = 0; at < text.size();) {
    Utf8Char found = utf8_at(text, at);
    if (!found.valid || !may_change(found.code)) {
      at += found.size;
      start = found.valid && !inert_[found.code] ? at - found.size : at;
      continue;
    }
    while (at < text.size() && at - start < kLongestRun) {
      found = utf8_at(text, at);
      if (!found.valid || !may_change(found.code)) break;
      at += found.size;
    }
    normal += text.substr(done, start - done);
    append_mapped(text.substr(start, at - start), normal);
    done = start = at;
  }
  normal += text.substr(done);
  return normal;
}

}  // namespace moe::data::bpe
