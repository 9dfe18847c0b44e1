#include "data/bpe/added_tokens.h"

#include <algorithm>
#include <utility>

#include "data/bpe/characters.h"
#include "data/utf8.h"

namespace moe::data::bpe {
namespace {

unsigned char byte_of(char c) { return static_cast<unsigned char>(c); }

bool ends_with_word(std::string_view text) {
  if (text.empty()) return false;
  const Utf8Char last = utf8_before(text, text.size());
  return last.valid && is_word_character(last.code);
}

bool starts_with_word(std::string_view text) {
  if (text.empty()) return false;
  const Utf8Char first = utf8_at(text, 0);
  return first.valid && is_word_character(first.code);
}

/// Where the white space at the end of `text` begins.
std::size_t trailing_space(std::string_view text) {
  std::size_t end = text.size();
  while (end > 0) {
    const Utf8Char last = utf8_before(text, end);
    if (!last.valid || !is_white_space(last.code)) break;
    end -= last.size;
  }
  return end;
}

std::size_t leading_space(std::string_view text) {
  std::size_t size = 0;
  while (size < text.size()) {
    const Utf8Char next = utf8_at(text, size);
    if (!next.valid || !is_white_space(next.code)) break;
    size += next.size;
  }
  return size;
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens)
    : tokens_(std::move(tokens)), begins_(256, false) {
  std::sort(tokens_.begin(), tokens_.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.content < b.content; });
  for (const AddedToken& token : tokens_) begins_[byte_of(token.content[0])] = true;
}

const AddedToken* AddedTokens::longest_at(std::string_view text, std::size_t at) const {
  const AddedToken* longest = nullptr;
  auto first = tokens_.begin();
  auto last = tokens_.end();
  // Narrows the range of tokens that begin as the text does, byte by byte.
  for (std::size_t i = 0; first != last && at + i < text.size(); ++i) {
    const unsigned char wanted = byte_of(text[at + i]);
    const auto byte_at = [i](const AddedToken& token) {
      return i < token.content.size() ? int{byte_of(token.content[i])} : -1;
    };
    first = std::lower_bound(first, last, int{wanted},
                             [&](const AddedToken& token, int byte) { return byte_at(token) < byte; });
    last = std::upper_bound(first, last, int{wanted},
                            [&](int byte, const AddedToken& token) { return byte < byte_at(token); });
    if (first != last && first->content.size() == i + 1) longest = &*first;
  }
  return longest;
}

void AddedTokens::cut(std::string_view text, std::vector<Segment>& segments) const {
  std::size_t done = 0;
  const auto add = [&](std::size_t begin, std::size_t end, std::int32_t id) {
    segments.push_back({text.substr(begin, end - begin), id});
  };
  for (std::size_t at = 0; !tokens_.empty() && at < text.size();) {
    const AddedToken* token = begins_[byte_of(text[at])] ? longest_at(text, at) : nullptr;
    if (token == nullptr) {
      ++at;
      continue;
    }
    std::size_t begin = at;
    std::size_t end = at += token->content.size();
    if (token->single_word &&
        (ends_with_word(text.substr(0, begin)) || starts_with_word(text.substr(end)))) {
      continue;
    }
    if (token->lstrip) begin = std::max(trailing_space(text.substr(0, begin)), done);
    if (token->rstrip) end += leading_space(text.substr(end));
    if (done < begin) add(done, begin, -1);
    add(begin, end, token->id);
    done = end;
  }
  if (done < text.size()) add(done, text.size(), -1);
}

}  // namespace moe::data::bpe
