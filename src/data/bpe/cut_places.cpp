#include "data/bpe/cut_places.h"

#include <algorithm>

#include "data/bpe/characters.h"
#include "data/utf8.h"

namespace moe::data::bpe {
namespace {

bool white_before(std::string_view text, std::size_t end) {
  const Utf8Char last = utf8_before(text, end);
  return last.valid && is_white_space(last.code);
}

/// A whole character that is an ASCII letter or digit, or none of ASCII and no white space.
bool continues_line(std::string_view text, std::size_t at) {
  const Utf8Char next = utf8_at(text, at);
  if (!next.valid) return false;
  if (next.code >= 0x80) return !is_white_space(next.code);
  return (next.code >= '0' && next.code <= '9') || (next.code >= 'A' && next.code <= 'Z') ||
         (next.code >= 'a' && next.code <= 'z');
}

}  // namespace

CutPlaces::CutPlaces(const PreTokenizer::Steps& steps, const std::vector<AddedToken>& added) {
  const auto decides = [](const Split& split) { return !split.facts.narrow; };
  const auto first = std::find_if(steps.splits.begin(), steps.splits.end(), decides);
  if (first == steps.splits.end()) return;
  before_space_ = first->facts.before_space;
  // A text that begins with anything but a space would be given one.
  before_line_end_ = first->facts.before_line_end && !steps.prefix_space;
  after_line_end_ = first->facts.after_line_end && !steps.prefix_space;
  for (const AddedToken& token : added) respect(token);
}

void CutPlaces::respect(const AddedToken& token) {
  const std::string& content = token.content;
  // Inside a token there is no cut.
  for (std::size_t at = 1; at < content.size(); ++at) {
    const bool white = white_before(content, at);
    if (content[at] == ' ' && !white) before_space_ = false;
    if (content[at] == '\n' && !white) before_line_end_ = false;
    if (content[at - 1] == '\n' && continues_line(content, at)) after_line_end_ = false;
  }
  // Nor where a token swallows the white space, or looks for a word beyond the cut.
  if (token.rstrip) before_space_ = before_line_end_ = after_line_end_ = false;
  if (token.lstrip) after_line_end_ = false;
  if (!token.single_word) return;
  if (content.front() == ' ') before_space_ = false;
  if (content.front() == '\n') before_line_end_ = false;
  if (content.back() == '\n') after_line_end_ = false;
}

bool CutPlaces::fits(std::string_view text, std::size_t at) const {
  const char next = text[at];
  if ((before_space_ && next == ' ') || (before_line_end_ && next == '\n')) {
    return !white_before(text, at);
  }
  return after_line_end_ && text[at - 1] == '\n' && continues_line(text, at);
}

std::size_t CutPlaces::last(std::string_view text) const {
  if (!before_space_ && !before_line_end_ && !after_line_end_) return 0;
  for (std::size_t at = text.size(); at-- > 1;) {
    if (fits(text, at)) return at;
  }
  return 0;
}

}  // namespace moe::data::bpe
