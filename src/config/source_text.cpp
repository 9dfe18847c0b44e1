#include "config/source_text.h"

#include <algorithm>
#include <cstdint>

#include "base/format.h"

namespace moe::config {
namespace {

/// Length of the well-formed UTF-8 sequence at the start of `text`, 0 if there is none: overlong
/// forms, surrogates and code points past U+10FFFF are not well-formed.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [text](std::size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto continues = [&byte](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return continues(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const bool overlong = first == 0xE0 && byte(1) < 0xA0;
    const bool surrogate = first == 0xED && byte(1) > 0x9F;
    return continues(1) && continues(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool overlong = first == 0xF0 && byte(1) < 0x90;
    const bool too_large = first == 0xF4 && byte(1) > 0x8F;
    return continues(1) && continues(2) && continues(3) && !overlong && !too_large ? 4 : 0;
  }
  return 0;
}

}  // namespace

SourceText::SourceText(std::string_view raw, const TextOrigin& origin) : origin_(origin) {
  if (raw.size() > kMaxDocumentBytes) {
    fail(0, format("a config may hold at most {} bytes, found {}; HINT is this really a config?",
                   kMaxDocumentBytes, raw.size()));
  }
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (raw.substr(0, kByteOrderMark.size()) == kByteOrderMark) raw.remove_prefix(3);
  copy_without_carriage_returns(raw);
  refuse_bad_bytes();
  // A last line without end is read like any other.
  if (!text_.empty() && text_.back() != '\n') text_ += '\n';
}

void SourceText::copy_without_carriage_returns(std::string_view raw) {
  text_.reserve(raw.size());
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] == '\r' && i + 1 < raw.size() && raw[i + 1] == '\n') continue;
    text_ += raw[i];
    if (raw[i] == '\n') line_starts_.push_back(text_.size());
  }
}

void SourceText::refuse_bad_bytes() const {
  for (std::size_t i = 0; i < text_.size();) {
    const auto byte = static_cast<unsigned char>(text_[i]);
    if (origin_.one_line && byte == '\n') fail(i, "an override is one line");
    if ((byte < 0x20 && byte != '\t' && byte != '\n') || byte == 0x7F) {
      fail(i, format("control character 0x{:02x}; a config is UTF-8 text; HINT in double quotes, "
                     "\\x{:02x} stands for it",
                     byte, byte));
    }
    const std::size_t length = utf8_length(std::string_view(text_).substr(i));
    if (length == 0) {
      fail(i, format("byte 0x{:02x} is not valid UTF-8; HINT save the file as UTF-8", byte));
    }
    i += length;
  }
}

std::size_t SourceText::line_of(std::size_t offset) const {
  const auto after = std::upper_bound(line_starts_.begin(), line_starts_.end(), offset);
  return static_cast<std::size_t>(after - line_starts_.begin()) - 1;
}

std::size_t SourceText::indent(std::size_t offset) const {
  return offset - line_starts_[line_of(offset)];
}

std::string_view SourceText::line(std::size_t offset) const {
  const std::size_t start = line_starts_[line_of(offset)];
  const std::string_view rest = std::string_view(text_).substr(start);
  return rest.substr(0, rest.find('\n'));
}

Position SourceText::position(std::size_t offset) const {
  if (origin_.one_line) return {origin_.name, origin_.order, 0, 0};
  offset = std::min(offset, text_.size());
  const std::size_t line = line_of(offset);
  // Offsets mostly grow, so a long line is counted once, not once for each of its nodes.
  if (counted_to_ > offset || counted_to_ < line_starts_[line]) {
    counted_to_ = line_starts_[line];
    characters_ = 0;
  }
  const auto at = [this](std::size_t i) { return text_.begin() + static_cast<std::ptrdiff_t>(i); };
  // Characters, not bytes: continuation bytes do not count.
  characters_ += std::count_if(at(counted_to_), at(offset), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  });
  counted_to_ = offset;
  return {origin_.name, origin_.order, static_cast<int>(line) + 1,
          static_cast<int>(characters_) + 1};
}

void SourceText::fail(std::size_t offset, const std::string& message) const {
  const std::string where = origin_.one_line ? origin_.path + ": " : std::string();
  throw Unreadable{{position(offset), where + message}};
}

}  // namespace moe::config
